/** Bytes on disk and in memory. */
import { link, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '../process.ts';
import { diskUsage, room } from './disk.ts';
import { dumpMemory, hostMemory, parseRollup } from './memory.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cmt-sizes-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));
const limit = (): AbortSignal => AbortSignal.timeout(10_000);

test('counts what is allocated, as du does: hard links once, holes not at all', async () => {
  await mkdir(join(directory, 'a/b'), { recursive: true });
  await writeFile(join(directory, 'a/b/full'), Buffer.alloc(300_000, 1));
  await link(join(directory, 'a/b/full'), join(directory, 'again'));
  await writeFile(join(directory, 'hole'), '');
  await truncate(join(directory, 'hole'), 1e9);
  const { stdout } = await run(
    'du',
    ['-sxB1', join(directory, 'a'), join(directory, 'again'), join(directory, 'hole')],
    {
      timeoutMs: 5000,
    },
  );
  const du = stdout.split('\n').reduce((sum, line) => sum + Number(line.split('\t')[0]), 0);
  expect(await diskUsage(directory, 10_000, limit())).toEqual({ bytes: du, complete: true });
});

test('stops counting when the time is up, and says so', async () => {
  await writeFile(join(directory, 'file'), 'x');
  expect(await diskUsage(directory, -1, limit())).toEqual({ bytes: 0, complete: false });
});

test('a path that does not exist yet has what its nearest directory has', async () => {
  const [there, notYet] = await Promise.all([room(directory), room(join(directory, 'not/yet'))]);
  expect(there.free).toBeGreaterThan(0);
  expect(Math.abs(there.free - notYet.free)).toBeLessThan(64 * 1024 * 1024);
});

test('memory is told from disk, and has no more room than there is memory', async () => {
  const { available } = await hostMemory();
  const memory = await room('/dev/shm');
  expect(memory.inMemory).toBe(true);
  expect(memory.free).toBeLessThan(available + 64 * 1024 * 1024);
  expect((await room('/usr')).inMemory).toBe(false);
});

test('private pages count in full, shared ones by share, swapped ones too', () => {
  const rollup =
    'Rss:  900 kB\nPss:  700 kB\nPss_Shmem:   16 kB\nAnonymous:    400 kB\nSwap:   4 kB\nSwapPss:  1 kB\n';
  expect(parseRollup(rollup)).toBe((400 + 16 + 4) * 1024);
  expect(parseRollup('')).toBe(0);
});

test('the memory of real processes and of this host', async () => {
  expect(await dumpMemory([process.pid])).toBeGreaterThan(1e6);
  expect(await dumpMemory([999_999_999])).toBe(0);
  const { total, available } = await hostMemory();
  expect(total).toBeGreaterThan(available);
  expect(available).toBeGreaterThan(0);
});
