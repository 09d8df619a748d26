/** The coordinator: takes migrations from the queue and drives each to its end. */
import { CmtError, type CoordinatorConfig, type ResolveOrder } from '@cmt/contracts';
import { claimPlace, createLogger, forMigration, serveHealth } from '@cmt/host';
import {
  consumeMigrations,
  consumeOrders,
  DecisionRecord,
  loadKeyPair,
  lookBeforeJoining,
  openConnection,
  parseRedisUrl,
  trustIn,
  type MigrationHandler,
} from '@cmt/queue';
import { evolve, standsStill, type Saga, type SagaEvent } from '@cmt/saga';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { announcedJournals, leasePorts } from './lease-ports.ts';
import { runMigration } from './run-migration.ts';
import { workStarter } from './scheduled-work.ts';
import { takeUp } from './take-up.ts';

/** Milliseconds a coordinator that was told to stop gives the migrations under way; the next one takes over the rest. */
const GRACE_MS = 3_000;

/** Runs until SIGTERM or SIGINT. @throws {CmtError} COORDINATOR_RUNS, and what `lookBeforeJoining` refuses with */
export async function main(config: CoordinatorConfig & { readonly redis: string }): Promise<void> {
  process.umask(0o077);
  const logger = createLogger('coordinator', config.logLevel);
  const name = `coordinator@${hostname()}`;
  const address = parseRedisUrl(config.redis);
  const place = await claimPlace(config.stateDir);
  await lookBeforeJoining(address, { name }, logger);
  const redis = openConnection(address, 'worker', logger);
  const decisions = new DecisionRecord(address, logger);
  const keys = await loadKeyPair(config.stateDir);
  const under = new Set<string>();

  const drive: MigrationHandler = async (request, lease, origin) => {
    const log = forMigration(logger, request.id);
    under.add(request.id);
    try {
      const ports = leasePorts({ redis, lease, decisions, allowedHooks: config.hooks, name });
      const stored = (await lease.load())?.state as Saga | null | undefined;
      const announced = () => announcedJournals(redis, request);
      const begun = await takeUp({ request, origin, stored: stored ?? null, announced }, ports);
      lease.standsStill = standsStill(begun);
      const word = lease.order === null ? null : wordOf(lease.order, begun);
      log.info({ stage: begun.stage, epoch: begun.epoch, origin }, 'takes the migration');
      const ended = await runMigration(begun, ports, lease.signal, word);
      log.info({ state: ended.end, failure: ended.failure?.code }, 'the migration has ended');
    } catch (error) {
      log.warn({ err: error }, 'lets go of the migration');
      throw error;
    } finally {
      under.delete(request.id);
    }
  };

  const trust = trustIn(keys, config.trustedKeysDir, logger);
  const own = { redis, trust, keys, name, logger };
  const { concurrency, stateDir } = config;
  const consumer = consumeMigrations({ ...own, concurrency, ledgerDir: join(stateDir, 'ledger') }, drive);
  const starter = workStarter(redis, keys);
  const orders = consumeOrders({ ...own, ledgerDir: join(stateDir, 'orders') }, starter);
  const health = await serveHealth(config.healthPort, () => ({
    ok: redis.status === 'ready',
    name,
    redis: redis.status,
    migrations: [...under],
  }));
  // Whoever has read that it is ready may tell it to stop at once.
  const told = toldToStop();
  logger.info({ name, redis: address.shown }, 'ready');

  await told;
  logger.info('told to stop');
  await Promise.all([consumer.close(GRACE_MS), orders.close(GRACE_MS)]);
  await Promise.all([health.close(), place.close()]);
  decisions.close();
  redis.disconnect();
}

/** @throws {CmtError} NOT_STUCK when the migration does not wait for a word */
function wordOf({ fenced, migration }: ResolveOrder, saga: Saga): SagaEvent {
  const side = fenced === saga.request.source ? 'source' : 'target';
  const word = { kind: 'resolve', fenced: side, at: Date.now() } as const;
  if (evolve(saga, word) === saga)
    throw new CmtError('NOT_STUCK', { migration, reason: 'it has not come to a decision' });
  return word;
}

const toldToStop = (): Promise<void> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
