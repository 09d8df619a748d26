import { expect, test } from 'vitest';
import { countDirty, dirtyBytes, dumpedRanges } from './dirty-pages.ts';

const SOFT_DIRTY = 1n << 55n;
const FILE_OR_SHARED = 1n << 61n;
const SWAPPED = 1n << 62n;
const PRESENT = 1n << 63n;

const entries = (...each: readonly bigint[]): Buffer => {
  const all = Buffer.alloc(8 * each.length);
  each.forEach((entry, at) => all.writeBigUInt64LE(entry, 8 * at));
  return all;
};

test('what a dump carries is private memory, and shared memory without a file', () => {
  const maps = [
    '00400000-00500000 r-xp 00000000 08:01 7                  /usr/bin/redis-server',
    '7f0000000000-7f0000002000 rw-p 00000000 00:00 0',
    '7f0000002000-7f8000002000 ---p 00000000 00:00 0 ',
    '7f8000002000-7f8000003000 rw-s 00000000 00:01 42         /dev/zero (deleted)',
    '7f8000003000-7f8000004000 rw-s 00000000 00:01 43         /memfd:ring (deleted)',
    '7f8000004000-7f8000005000 rw-s 00000000 08:01 44         /data/mapped file',
    '7ffd00000000-7ffd00001000 r--p 00000000 00:00 0          [vvar]',
    '7ffd00001000-7ffd00002000 rw-p 00000000 00:00 0          [stack]',
    'ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0  [vsyscall]',
    '',
  ];
  expect(dumpedRanges(maps.join('\n'))).toEqual([
    { from: 0x400000, to: 0x500000, shared: null },
    { from: 0x7f0000000000, to: 0x7f0000002000, shared: null },
    { from: 0x7f8000002000, to: 0x7f8000003000, shared: '00:01 42' },
    { from: 0x7f8000003000, to: 0x7f8000004000, shared: '00:01 43' },
    { from: 0x7ffd00001000, to: 0x7ffd00002000, shared: null },
  ]);
});

test('written to are pages that are there, in memory or swapped out', () => {
  const some = entries(PRESENT, PRESENT | SOFT_DIRTY, SWAPPED | SOFT_DIRTY, SOFT_DIRTY, 0n);
  expect(countDirty(some, false)).toBe(2);
});

test('a page that is still what a file holds is not dumped; of shared memory every page looks like that', () => {
  const some = entries(PRESENT | SOFT_DIRTY | FILE_OR_SHARED, PRESENT | SOFT_DIRTY);
  expect(countDirty(some, false)).toBe(1);
  expect(countDirty(some, true)).toBe(2);
});

test('a cgroup without processes has written nothing', async () => {
  expect(await dirtyBytes('/sys/fs/cgroup/there-is-no-such-group')).toBe(0);
});
