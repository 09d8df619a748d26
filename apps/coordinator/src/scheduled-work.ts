/** What schedules ask for, begun by this coordinator in its own name: one case for each kind of work. */
import { CmtError, isDrainOver, isEnd, type MigrationId, type ScheduledWork } from '@cmt/contracts';
import { beginDrain } from '@cmt/fleet';
import {
  drainOf,
  statusOf,
  submitMigration,
  submitOrder,
  type KeyPair,
  type RedisConnection,
  type WorkStarter,
} from '@cmt/queue';

type Kind = ScheduledWork['kind'];

type Work<K extends Kind> = Extract<ScheduledWork, { kind: K }>;
/** How one kind of work is carried out. */
interface Doing<K extends Kind> {
  readonly start: (work: Work<K>, id: MigrationId) => Promise<void>;
  readonly isUnderWay: (work: Work<K>, id: MigrationId) => Promise<boolean>;
}

/** `keys` sign what is begun: several coordinators have to trust each other’s. */
export function workStarter(redis: RedisConnection, keys: KeyPair): WorkStarter {
  const [migrate, drain] = [migrating(redis, keys), draining(redis, keys)];
  return {
    start: (work, id) => (work.kind === 'migrate' ? migrate.start(work, id) : drain.start(work, id)),
    isUnderWay: (work, id) =>
      work.kind === 'migrate' ? migrate.isUnderWay(work, id) : drain.isUnderWay(work, id),
  };
}

const migrating = (redis: RedisConnection, keys: KeyPair): Doing<'migrate'> => ({
  start: async ({ request }, id) => {
    await submitMigration(redis, { ...request, id, requestedAt: Date.now() }, keys);
  },
  isUnderWay: async (_, id) => {
    const status = await statusOf(redis, id);
    return status !== null && !isEnd(status);
  },
});

const draining = (redis: RedisConnection, keys: KeyPair): Doing<'drain'> => ({
  start: async ({ order }, id) => {
    const now = Date.now();
    const due = { ...order, id, requestedAt: now };
    const report = await submitOrder(redis, due, beginDrain(due, now), keys);
    if (report.id !== id) throw new CmtError('DRAIN_UNDER_WAY', { host: order.host, id: report.id });
  },
  isUnderWay: async ({ order }, id) => {
    const report = await drainOf(redis, order.host);
    return report?.id === id && !isDrainOver(report);
  },
});
