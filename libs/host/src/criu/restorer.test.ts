import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { start } from '../process.ts';
import { blocksAll, standsInRestorer } from './restorer.ts';

/** Blocks every signal that a program can block, says so, and stands still. */
const BLOCKING =
  'use POSIX; sigprocmask(SIG_BLOCK, POSIX::SigSet->new(1..31, 34..64)); $| = 1; print "stands"; sleep 60';
let directory: string;
let standing: ReturnType<typeof start>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cmt-restorer-'));
  standing = start('perl', ['-e', BLOCKING], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (standing.stdout) await once(standing.stdout, 'data');
});
afterAll(async () => {
  standing.kill('SIGKILL');
  await rm(directory, { recursive: true });
});

const logOf = async (text: string): Promise<string> => {
  const path = join(directory, 'restore.log');
  await writeFile(path, text);
  return path;
};

test('a process that blocks everything under a log without its last word stands in the restorer', async () => {
  expect(await standsInRestorer(await logOf('(00.1) pie: seized\n'), [standing.pid ?? 0])).toBe(true);
});

test('one of a restore that finished does not, whatever it blocks', async () => {
  const log = await logOf('(00.1) Restore finished successfully. Tasks resumed.\n(00.2) Writing stats\n');
  expect(await standsInRestorer(log, [standing.pid ?? 0])).toBe(false);
});

test('one that takes signals does not, whatever the log lacks', async () => {
  expect(await standsInRestorer(await logOf('(00.1) cut sho'), [process.pid])).toBe(false);
});

test('without a log nothing is said against it', async () => {
  expect(await standsInRestorer(join(directory, 'none'), [standing.pid ?? 0])).toBe(false);
});

test('the mask of the restorer counts, and that of an ordinary program does not', () => {
  expect(blocksAll('SigBlk:\tfffffffffffbfeff\n')).toBe(true);
  expect(blocksAll('SigBlk:\t0000000000010000\n')).toBe(false);
  expect(blocksAll('')).toBe(false);
});
