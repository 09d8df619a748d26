/** The coordinator: takes migrations from the queue and drives each to its end. */
import type { CoordinatorConfig } from '@cmt/contracts';
import { isUnderOrder } from '@cmt/fleet';
import { claimPlace, createLogger, serveHealth, toldToStop } from '@cmt/host';
import {
  consumeMigrations,
  consumeDrains,
  consumeOrders,
  DecisionRecord,
  loadKeyPair,
  lookBeforeJoining,
  openConnection,
  parseRedisUrl,
  startTraces,
  trustIn,
  type Consumer,
  type DrainsOptions,
} from '@cmt/queue';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { runDrain } from './drain.ts';
import { driveWith } from './drive.ts';
import { LinkShares } from './link-shares.ts';
import { workStarter } from './scheduled-work.ts';

/** Milliseconds a coordinator that was told to stop gives the migrations under way; the next one takes over the rest. */
const GRACE_MS = 3_000;

/** A drain mostly waits. */
const DRAINS_AT_ONCE = 32;

/** Runs until SIGTERM or SIGINT. @throws {CmtError} COORDINATOR_RUNS, and what `lookBeforeJoining` refuses with */
export async function main(config: CoordinatorConfig & { readonly redis: string }): Promise<void> {
  process.umask(0o077);
  const logger = createLogger('coordinator', config.logLevel);
  const name = `coordinator@${hostname()}`;
  const address = parseRedisUrl(config.redis);
  const traces = await startTraces('cmt-coordinator');
  const place = await claimPlace(config.stateDir);
  await lookBeforeJoining(address, { name }, logger);
  const redis = openConnection(address, 'worker', logger);
  const decisions = new DecisionRecord(address, logger);
  const keys = await loadKeyPair(config.stateDir);
  const shares = new LinkShares({ redis, keys, logger });
  const under = new Set<string>();

  const drive = driveWith({ redis, decisions, shares, allowedHooks: config.hooks, name, logger, under });
  const trust = trustIn(keys, config.trustedKeysDir, logger);
  const own = { redis, trust, keys, name, logger };
  const { concurrency, stateDir } = config;
  const orders = consumeOrders(
    { ...own, ledgerDir: join(stateDir, 'orders'), removedDir: join(stateDir, 'removed-schedules') },
    workStarter(redis, keys),
  );
  const consumer = consumeMigrations(
    {
      ...{ ...own, concurrency, ledgerDir: join(stateDir, 'ledger'), isUnderOrder },
      onNews: (news) => (news === 'flows' ? shares.look() : void orders.noteRemovals()),
    },
    drive,
  );
  const drains = serveDrains({ ...own, ledgerDir: join(stateDir, 'drains') });
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
  shares.close();
  await Promise.all([consumer.close(GRACE_MS), orders.close(GRACE_MS), drains.close(0)]);
  await Promise.all([health.close(), place.close()]);
  decisions.close();
  redis.disconnect();
  await traces.close();
}

/** Empties hosts, and fills them again. */
const serveDrains = (options: Omit<DrainsOptions, 'concurrency'>): Consumer =>
  consumeDrains({ ...options, concurrency: DRAINS_AT_ONCE }, async (lease) => {
    const { state, host } = await runDrain(options.redis, lease);
    const { id: order, kind } = lease.order;
    options.logger.info({ order, kind, host, state }, 'an order is over');
  });
