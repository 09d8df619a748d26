/** What schedules ask for, begun by this coordinator in its own name: one case for each kind of work. */
import { isEnd, type MigrationId, type ScheduledWork } from '@cmt/contracts';
import { readSaga, submitMigration, type KeyPair, type RedisConnection, type WorkStarter } from '@cmt/queue';

type Kind = ScheduledWork['kind'];

/** How one kind of work is carried out. */
interface Doing<K extends Kind> {
  readonly start: (work: Extract<ScheduledWork, { kind: K }>, id: MigrationId) => Promise<void>;
  readonly isUnderWay: (id: MigrationId) => Promise<boolean>;
}
type Doings = { readonly [K in Kind]: Doing<K> };

/** `keys` sign what is begun: several coordinators have to trust each other’s. */
export function workStarter(redis: RedisConnection, keys: KeyPair): WorkStarter {
  const doings: Doings = { migrate: migrating(redis, keys) };
  return {
    start: (work, id) => doings[work.kind].start(work, id),
    isUnderWay: ({ kind }, id) => doings[kind].isUnderWay(id),
  };
}

const migrating = (redis: RedisConnection, keys: KeyPair): Doing<'migrate'> => ({
  start: async ({ request }, id) => {
    await submitMigration(redis, { ...request, id, requestedAt: Date.now() }, keys);
  },
  isUnderWay: async (id) => {
    const saga = await readSaga(redis, id);
    return saga !== null && !isEnd(saga.report.state);
  },
});
