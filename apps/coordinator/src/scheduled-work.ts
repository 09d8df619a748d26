/** What schedules ask for, begun by this coordinator in its own name: one case for each kind of work. */
import { isEnd, type MigrationId, type ScheduledWork } from '@cmt/contracts';
import { readSaga, submitMigration, type KeyPair, type RedisConnection, type WorkStarter } from '@cmt/queue';

/** `keys` sign what is begun: several coordinators have to trust each other’s. */
export const workStarter = (redis: RedisConnection, keys: KeyPair): WorkStarter => ({
  start: async (work, id) => {
    switch (work.kind) {
      case 'migrate':
        await submitMigration(redis, { ...work.request, id, requestedAt: Date.now() }, keys);
    }
  },
  isUnderWay: (work, id) => isUnderWay(redis, work, id),
});

async function isUnderWay(redis: RedisConnection, work: ScheduledWork, id: MigrationId): Promise<boolean> {
  switch (work.kind) {
    case 'migrate': {
      const saga = await readSaga(redis, id);
      return saga !== null && !isEnd(saga.report.state);
    }
  }
}
