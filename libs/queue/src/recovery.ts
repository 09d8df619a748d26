/**
 * Migrations that Redis has forgotten and the hosts' journals have not, as orders to take them up again. Pure.
 *
 * Such an order is not signed, and needs no signature: it names no step and no option. All that can come of it is the way
 * back, or the end of what a host's own journal says has been decided (docs/decisions/0007).
 */
import {
  AbsolutePath,
  ContainerId,
  HostName,
  MigrationId,
  MigrationRequest,
  RuntimeName,
  type JournalNote,
} from '@cmt/contracts';
import { z } from 'zod';
import type { NotedHost } from './registry.ts';

/** The job of a migration that was taken up from the journals. */
export const RecoveryOrder = z.object({
  v: z.literal(1),
  recover: MigrationId,
  runtime: RuntimeName,
  container: ContainerId,
  source: HostName,
  target: HostName,
  sourceBundle: AbsolutePath,
  targetBundle: AbsolutePath,
  /** Milliseconds since 1970 at which it was missed. */
  missedAt: z.int(),
});
export type RecoveryOrder = z.infer<typeof RecoveryOrder>;

/** The notes of one migration's two hosts. */
export interface JournalsOfMigration {
  readonly source: JournalNote | null;
  readonly target: JournalNote | null;
}

/** What these hosts announce of a migration, each asked only for its own side. */
export function journalsOf(
  seen: readonly NotedHost[],
  { id, source, target }: Pick<MigrationRequest, 'id' | 'source' | 'target'>,
): JournalsOfMigration {
  const noteOf = (host: HostName, side: JournalNote['side']): JournalNote | null =>
    seen
      .find(({ name }) => name === host)
      ?.record.journal?.find((note) => note.migration === id && note.side === side) ?? null;
  return { source: noteOf(source, 'source'), target: noteOf(target, 'target') };
}

/** Whether one of its journals has not closed it. */
export function isOpen(order: RecoveryOrder, seen: readonly NotedHost[]): boolean {
  const { source, target } = journalsOf(seen, { ...order, id: order.recover });
  return [source, target].some((note) => note !== null && !note.closed);
}

/** An order for every migration that online hosts announce. */
export function ordersOf(seen: readonly NotedHost[], now: number): RecoveryOrder[] {
  const orders = new Map<MigrationId, RecoveryOrder>();
  for (const host of seen.filter(({ state }) => state === 'online'))
    for (const note of host.record.journal ?? []) {
      const order = orderOf(host.name, note, seen, now);
      if (order !== null && !orders.has(note.migration)) orders.set(note.migration, order);
    }
  return [...orders.values()];
}

/** Null for a note that names no other host: nothing of that migration ever began there. */
function orderOf(
  host: HostName,
  note: JournalNote,
  seen: readonly NotedHost[],
  now: number,
): RecoveryOrder | null {
  if (note.peer === host) return null;
  const [source, target] = note.side === 'source' ? [host, note.peer] : [note.peer, host];
  const journals = journalsOf(seen, { id: note.migration, source, target });
  const { migration: recover, runtime, container } = note;
  return {
    ...{ v: 1, recover, runtime, container, source, target, missedAt: now },
    sourceBundle: (journals.source ?? note).bundle,
    targetBundle: (journals.target ?? note).bundle,
  };
}

/** The request as far as journals keep one: whence and whither. Its options are the defaults, without hooks. */
export const requestOfOrder = ({ recover, missedAt, v, ...facts }: RecoveryOrder): MigrationRequest =>
  MigrationRequest.parse({ ...facts, v, id: recover, options: {}, requestedAt: missedAt });
