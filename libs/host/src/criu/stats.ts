/**
 * CRIU's own figures of a dump or restore: `stats-dump` and `stats-restore` in the work directory (images/stats.proto).
 * Shared memory counts apart from private memory there (`shpages_*`); here they are one sum.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { decodeFields } from './protobuf.ts';

/** Times in milliseconds, of which CRIU's clock resolves microseconds. */
export interface DumpStats {
  readonly freezingMs: number;
  /** From the last process frozen to the first let go. */
  readonly frozenMs: number;
  readonly memdumpMs: number;
  readonly memwriteMs: number;
  readonly pagesScanned: number;
  /** Pages that an earlier round has written and nobody has changed since. */
  readonly pagesSkipped: number;
  readonly pagesWritten: number;
}

export interface RestoreStats {
  readonly forkingMs: number;
  readonly restoreMs: number;
  readonly pagesRestored: number;
}

/** IMG_SERVICE_MAGIC and STATS_MAGIC of criu/include/magic.h, little endian; then the message's size in four bytes. */
const MAGICS = [0x55105940, 0x57093306] as const;
const HEADER_BYTES = 12;

const required = z.number().min(0);
const optional = required.default(0);

const DumpEntry = z.object({
  1: required,
  2: required,
  3: required,
  4: required,
  5: required,
  6: required,
  7: required,
  12: optional,
  13: optional,
  14: optional,
});
const RestoreEntry = z.object({ 3: required, 4: required, 5: optional });

/** @throws {Error} when it is not there or not what CRIU writes */
export async function readDumpStats(work: string): Promise<DumpStats> {
  return parseDumpStats(await readFile(join(work, 'stats-dump')));
}

/** @throws {Error} when it is not there or not what CRIU writes */
export async function readRestoreStats(work: string): Promise<RestoreStats> {
  return parseRestoreStats(await readFile(join(work, 'stats-restore')));
}

/** dump_stats_entry. */
export function parseDumpStats(file: Uint8Array): DumpStats {
  const entry = DumpEntry.parse(entryOf(file, 1));
  return {
    freezingMs: entry[1] / 1000,
    frozenMs: entry[2] / 1000,
    memdumpMs: entry[3] / 1000,
    memwriteMs: entry[4] / 1000,
    pagesScanned: entry[5] + entry[12],
    pagesSkipped: entry[6] + entry[13],
    pagesWritten: entry[7] + entry[14],
  };
}

/** restore_stats_entry. */
export function parseRestoreStats(file: Uint8Array): RestoreStats {
  const entry = RestoreEntry.parse(entryOf(file, 2));
  return { forkingMs: entry[3] / 1000, restoreMs: entry[4] / 1000, pagesRestored: entry[5] };
}

/** The numbers of one of stats_entry's two messages, by field. */
function entryOf(file: Uint8Array, field: 1 | 2): Record<number, number> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const isStats =
    file.length >= HEADER_BYTES && MAGICS.every((magic, n) => view.getUint32(4 * n, true) === magic);
  if (!isStats) throw new Error('not a statistics file of CRIU');
  const size = view.getUint32(8, true);
  if (HEADER_BYTES + size > file.length) throw new Error('a statistics file of CRIU that ends early');
  const message = decodeFields(file.subarray(HEADER_BYTES, HEADER_BYTES + size)).messages.get(field);
  if (message === undefined) throw new Error(`CRIU's statistics file has no entry ${field}`);
  return Object.fromEntries(decodeFields(message).numbers);
}
