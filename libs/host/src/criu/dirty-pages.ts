/**
 * What a container has written to since CRIU looked at it last: what its next dump would have to carry. CRIU makes the kernel forget in each
 * round which pages were written (`--track-mem`; clear_refs of proc(5)), and the kernel notes them anew
 * (Documentation/admin-guide/mm/soft-dirty.rst and pagemap.rst).
 */
import { open, readFile, type FileHandle } from 'node:fs/promises';
import { PAGE_BYTES } from '@cmt/contracts';
import { pidsBelow } from '../preflight/container-processes.ts';
import { parseMaps } from '../preflight/proc-text.ts';

const ENTRY_BYTES = 8;
/** Of an entry of 64 bits, little-endian: bit 55, and in the last byte whether it is of a file or shared, swapped, present. */
const SOFT_DIRTY = { byte: 6, bit: 0x80 } as const;
const FLAGS_BYTE = 7;
const [FILE_OR_SHARED, SWAPPED, PRESENT] = [0x20, 0x40, 0x80] as const;
/** Entries that are read at once: 256 MiB of memory. */
const PIECE = 65_536;
/** Of addresses: what reserves more than that is not worth the time. */
const MOST_BYTES = 512 * 1024 ** 3;

/** A range of addresses whose pages a dump carries (proc_pid_maps(5)). */
export interface DumpedRange {
  readonly from: number;
  readonly to: number;
  /** Names memory that processes share; null where it is private. */
  readonly shared: string | null;
}

/**
 * Bytes that processes of a cgroup, and of those below it, have written to since the last round. Meaningless where the kernel does not track
 * that, or before a first round. What they share counts once.
 * @returns null where there is too much to look at
 */
export async function dirtyBytes(cgroup: string): Promise<number | null> {
  let own = 0;
  const shared = new Map<string, number>();
  for (const pid of await pidsBelow(cgroup)) {
    const ranges = dumpedRanges(await readFile(`/proc/${pid}/maps`, 'utf8').catch(() => ''));
    if (ranges.reduce((sum, { from, to }) => sum + to - from, 0) > MOST_BYTES) return null;
    const pagemap = await open(`/proc/${pid}/pagemap`, 'r').catch(() => null);
    if (pagemap === null) continue;
    try {
      for (const range of ranges) {
        const bytes = PAGE_BYTES * (await dirtyPages(pagemap, range));
        if (range.shared === null) own += bytes;
        else shared.set(range.shared, Math.max(bytes, shared.get(range.shared) ?? 0));
      }
    } finally {
      await pagemap.close();
    }
  }
  return [...shared.values()].reduce((sum, bytes) => sum + bytes, own);
}

/**
 * The ranges of /proc/PID/maps that CRIU puts into images: private memory, and shared memory without a file. Nothing was ever written where
 * nothing may be read or written. Pure.
 */
export function dumpedRanges(maps: string): DumpedRange[] {
  return parseMaps(maps)
    .filter(({ mode, name }) => !mode.startsWith('---') && !name.startsWith('[v'))
    .filter(({ mode, name }) => !mode.endsWith('s') || /^(\/dev\/zero|\/SYSV|\/memfd:)/.test(name))
    .map(({ range, mode, device, inode }) => {
      const [from = 0, to = 0] = range.split('-').map((address) => Number.parseInt(address, 16));
      return { from, to, shared: mode.endsWith('s') ? `${device} ${inode}` : null };
    });
}

async function dirtyPages(pagemap: FileHandle, { from, to, shared }: DumpedRange): Promise<number> {
  const [first, last] = [from / PAGE_BYTES, to / PAGE_BYTES];
  const entries = Buffer.alloc(ENTRY_BYTES * Math.min(PIECE, last - first));
  let pages = 0;
  for (let at = first; at < last;) {
    const wanted = ENTRY_BYTES * Math.min(PIECE, last - at);
    const { bytesRead } = await pagemap.read(entries, 0, wanted, ENTRY_BYTES * at);
    // Its process has ended.
    if (bytesRead < ENTRY_BYTES) return pages;
    pages += countDirty(entries.subarray(0, bytesRead), shared !== null);
    at += Math.floor(bytesRead / ENTRY_BYTES);
  }
  return pages;
}

/**
 * Pages among entries of /proc/PID/pagemap that were written to and that a dump carries: of private memory those that are no longer what a
 * file holds (criu/mem.c, should_dump_page). Pure.
 */
export function countDirty(entries: Buffer, areShared: boolean): number {
  let pages = 0;
  for (let at = 0; at + ENTRY_BYTES <= entries.length; at += ENTRY_BYTES) {
    const flags = entries[at + FLAGS_BYTE] ?? 0;
    const isDirty = ((entries[at + SOFT_DIRTY.byte] ?? 0) & SOFT_DIRTY.bit) !== 0;
    const isThere = (flags & (PRESENT | SWAPPED)) !== 0;
    if (isDirty && isThere && (areShared || (flags & FILE_OR_SHARED) === 0)) pages += 1;
  }
  return pages;
}
