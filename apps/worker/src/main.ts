/** The worker of one host: takes its legs from the queue and runs their steps here. */
import type { WorkerConfig } from '@cmt/contracts';
import { createLogger, serveHealth } from '@cmt/host';
import { parseRedisUrl } from '@cmt/queue';
import { openHost } from './host.ts';
import { serveQueue } from './serve-queue.ts';

/** Milliseconds that legs under way get to end by themselves: longer than a blackout should ever be. */
const GRACE_MS = 25_000;

/** Runs until SIGTERM or SIGINT; a second one ends it at once. Containers that it restored live on. */
export async function main(config: WorkerConfig & { readonly redis: string }): Promise<void> {
  process.umask(0o077);
  const logger = createLogger('worker', config.logLevel).child({ host: config.name });
  const address = parseRedisUrl(config.redis);
  const host = await openHost(config);
  const queue = await serveQueue({ config, address, host, logger });
  const health = await serveHealth(config.healthPort, () => queue.health());
  logger.info({ address: address.shown }, 'ready');

  logger.info({ signal: await toldToStop() }, 'told to stop: legs under way are brought to their end');
  void toldToStop().then(() => process.exit(1));
  await queue.close(GRACE_MS);
  await health.close();
  await host.close();
  logger.info('stopped');
}

const toldToStop = (): Promise<NodeJS.Signals> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
