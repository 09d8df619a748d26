/** The worker of one host: takes its legs from the queue and runs their steps here. */
import type { WorkerConfig } from '@cmt/contracts';
import { createLogger, onStopSignal, serveHealth, toldToStop } from '@cmt/host';
import { lookBeforeJoining, parseRedisUrl, startTraces } from '@cmt/queue';
import { openHost } from './host.ts';
import { leaveNothing, untilNotNeeded } from './leaving.ts';
import { serveQueue } from './serve-queue.ts';

/**
 * @throws {CmtError} WORKER_RUNS, and what `lookBeforeJoining` refuses with
 * Runs until SIGTERM or SIGINT; containers that it restored live on. A second one ends it like a crash: what is open is settled
 * at the next start.
 */
export async function main(config: WorkerConfig & { readonly redis: string }): Promise<void> {
  process.umask(0o077);
  const logger = createLogger('worker', config.logLevel).child({ host: config.name });
  const address = parseRedisUrl(config.redis);
  const traces = await startTraces('cmt-worker');
  const host = await openHost(config);
  const { publicKey } = host.endpoint;
  await lookBeforeJoining(address, { name: config.name, publicKey }, logger);
  const queue = await serveQueue({ config, address, host, logger });
  const health = await serveHealth(config.healthPort, () => queue.health());
  logger.info({ address: address.shown }, 'ready');

  const reason = await Promise.race([toldToStop(), untilNotNeeded(config.agentless, queue, host.journal)]);
  logger.info({ reason }, 'stops: legs under way are brought to their end');
  // Not `process.exit`: that would take a CRIU at work with it, and the container that it works on.
  onStopSignal(() => process.kill(process.pid, 'SIGKILL'));
  await queue.close();
  await health.close();
  await host.close();
  await leaveNothing(config.agentless, host.journal);
  await traces.close();
  logger.info('stopped');
}
