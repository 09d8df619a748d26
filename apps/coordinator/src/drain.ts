/**
 * A drain, or its way back, from its first to its last move: look -> advance -> record -> ask -> repeat.
 *
 * INVARIANTS
 * - A move is on record before its migration is asked for; asking twice is asking once.
 * - It may be left at any moment: whoever takes it up finds on record what was begun.
 */
import {
  CmtError,
  isDrainOver,
  MigrationRequest,
  UNPLACED,
  type DrainMove,
  type DrainReport,
} from '@cmt/contracts';
import { advanceDrain, beginDrain, parseLimits, requestOfMove, type DrainView } from '@cmt/fleet';
import { thisClock } from '@cmt/host';
import {
  drainedHosts,
  hosts,
  movingContainers,
  readSaga,
  storedLimits,
  statusOf,
  submitUnder,
  type DrainLease,
  type RedisConnection,
} from '@cmt/queue';

/** Milliseconds between looks. */
const LOOK_MS = 500;

/** Works on an order until nothing of it is left to do. Rejects when the lease's signal aborts. */
export async function runDrain(redis: RedisConnection, lease: DrainLease): Promise<DrainReport> {
  const { order, signal } = lease;
  let report = (await lease.load()) ?? beginDrain(order, Date.now());
  for (;;) {
    signal.throwIfAborted();
    const view = await look(redis, lease, report);
    const next = advanceDrain(report, view);
    if (JSON.stringify(next) !== JSON.stringify(report)) await lease.save(next);
    report = next;
    if (isDrainOver(report)) return report;
    for (const move of report.moves.filter((one) => isToBeAsked(one, view))) await ask(redis, lease, move);
    await thisClock.wait(LOOK_MS, signal);
  }
}

const isToBeAsked = ({ state, migration }: DrainMove, { migrations }: DrainView): boolean =>
  state === 'moving' && migration !== null && migrations[migration] === undefined;

async function look(
  redis: RedisConnection,
  { order }: DrainLease,
  { moves }: DrainReport,
): Promise<DrainView> {
  const [seen, drained] = await Promise.all([hosts(redis), drainedHosts(redis)]);
  const host = seen.find(({ name }) => name === order.host);
  // One that has just fallen silent may come back; one that is gone is told of as it was, and its moves say why they fail.
  const containers = host === undefined || host.state === 'unreachable' ? null : host.record.containers;
  const still = (containers ?? []).filter(({ status }) => status !== 'running').map(({ id }) => id);
  const mark = drained[order.host];
  return {
    now: Date.now(),
    containers,
    busy: await movingContainers(redis, order.host, still),
    migrations: await migrationsOf(redis, moves),
    holds: order.kind === 'drain' ? mark === order.id : mark === undefined,
  };
}

async function migrationsOf(
  redis: RedisConnection,
  moves: readonly DrainMove[],
): Promise<DrainView['migrations']> {
  const ids = moves.flatMap(({ state, migration }) =>
    state === 'moving' && migration !== null ? [migration] : [],
  );
  const standing = await Promise.all(ids.map((id) => standingOf(redis, id)));
  return Object.fromEntries(ids.flatMap((id, at) => (standing[at] ? [[id, standing[at]]] : [])));
}

/** One whose report cannot be read stands as Redis says beside it. */
async function standingOf(
  redis: RedisConnection,
  id: string,
): Promise<DrainView['migrations'][string] | null> {
  const saga = await readSaga(redis, id);
  if (saga !== null) return saga.report;
  const state = await statusOf(redis, id);
  const details = { migration: id, problem: 'its report is damaged' };
  return state === null ? null : { state, to: UNPLACED, failure: { code: 'MIGRATION_UNREADABLE', details } };
}

/** A queue that is full now may take it at the next look. */
async function ask(redis: RedisConnection, { order, sealed }: DrainLease, move: DrainMove): Promise<void> {
  const request = MigrationRequest.parse(requestOfMove(order, move));
  const { queue } = parseLimits(await storedLimits(redis));
  try {
    await submitUnder(redis, request, sealed, queue);
  } catch (error) {
    if (!(error instanceof CmtError && error.failure.code === 'QUEUE_FULL')) throw error;
  }
}
