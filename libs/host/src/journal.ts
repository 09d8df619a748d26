/**
 * Each host's own record of every hand-over it takes part in: the truth, when Redis is not (lifecycle H4, H6).
 *
 * INVARIANTS
 * - A phase is on disk (write, fsync, rename, fsync of the directory) before it is acted on.
 * - The epoch of an entry never falls; a command of an older epoch is refused.
 * - What a step is about to make is listed before it is made, so that an undo after a crash finds it.
 */
import { z } from 'zod';
import { JournalNote, Phase, Route, type CmtError, type ContainerId, type MigrationId } from '@cmt/contracts';

export { Phase };

/** What others are told of it, with the whole network, and what is this host's alone. */
export const JournalEntry = z.object({
  v: z.literal(1),
  ...JournalNote.shape,
  /** Target: whether the bundle was there before this migration; only one that was not is ever deleted. */
  bundleExisted: z.boolean(),
  /** Target: process id and start time (/proc/PID/stat field 22) of the held restore. */
  restore: z.object({ pid: z.int(), startTime: z.string() }).nullable(),
  /** Target: milliseconds since 1970 before which no copy of this migration can exist; null while none was ordered. */
  restoreOrderedAt: z.number().nullable().default(null),
  /** Source: how the target is asked when Redis is away. Target: the key of the one who may ask (SPKI, base64). */
  route: Route.optional(),
  peerKey: z.string().optional(),
  /** Source: the target may have been told that everything is there. Until then it cannot hold a copy. */
  saidGo: z.boolean().optional(),
  /** Source: it runs on by what it knew itself or by the target's word, and Redis may not have heard of it. */
  ranOnAlone: z.boolean().optional(),
  /** An operator has declared the peer fenced, and this side went on without it. */
  peerFenced: z.boolean().optional(),
});
export type JournalEntry = z.infer<typeof JournalEntry>;

export interface Journal {
  /** The entry of a migration on this host, or null. */
  read(migration: MigrationId): Promise<JournalEntry | null>;
  /** Durable when it resolves. @throws CmtError STALE_EPOCH when the entry on disk has a newer epoch, JOURNAL_FAILED when the disk refuses. */
  write(entry: JournalEntry): Promise<void>;
  /** All entries that are not closed, for the settlement at start. */
  open(): Promise<JournalEntry[]>;
  /** One failure for every entry that exists and cannot be read: a person has to look at it. */
  unreadable(): Promise<CmtError[]>;
  /** The open migration of a container, or null: one at a time. */
  busyWith(container: ContainerId): Promise<MigrationId | null>;
  /** Drops closed entries older than this many milliseconds. */
  prune(olderThanMs: number): Promise<void>;
}
