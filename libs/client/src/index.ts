export {
  CmtClient,
  newMigrationId,
  type ClientOptions,
  type FollowOptions,
  type MigrationWish,
} from './client.ts';
export type { EventId, KnownSchedule, SeenHost, Submitted, Unreadable } from '@cmt/queue';
