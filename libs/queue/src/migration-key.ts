/** How a migration's job is called. Apart from the job itself: who only looks need not load BullMQ. */
import { MIGRATIONS_QUEUE, PREFIX, type MigrationId } from '@cmt/contracts';

/** BullMQ keeps its own keys beside its jobs (`wait`, `failed`, `meta` …) and none has a `_`: no migration can be named like one. */
export const migrationJobId = (id: MigrationId): string => `migration_${id}`;

/** The migration of a job, whose id may be anything. */
export const migrationOf = (jobId: string): string => jobId.replace(/^migration_/, '');

/** Key of a migration's job; `…:lock` holds its owner's token, `…:dependencies` its pending legs. */
export const migrationJobKey = (id: MigrationId): string =>
  `${PREFIX}:${MIGRATIONS_QUEUE}:${migrationJobId(id)}`;
