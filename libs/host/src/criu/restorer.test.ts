import { once } from 'node:events';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { start } from '../process.ts';
import { blocksAll, standsInRestorer } from './restorer.ts';

/** Blocks every signal that a program can block, says so, and stands still. */
const BLOCKING =
  'use POSIX; sigprocmask(SIG_BLOCK, POSIX::SigSet->new(1..31, 34..64)); $| = 1; print "stands"; sleep 60';
let directory: string;
let standing: ReturnType<typeof start>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cmt-restorer-'));
  await symlink('/usr/bin/perl', join(directory, 'criu'));
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

describe('while a CRIU that has the log open lives', () => {
  /** Holds a log open, and ends when its standard input does; after its last word, if it has one. */
  const CRIU = 'open(L, ">>", $ARGV[0]); print "open"; <STDIN>; print L $ARGV[1]; close L';
  const startCriu = async (log: string, lastWord: string) => {
    const criu = start(join(directory, 'criu'), ['-e', `$| = 1; ${CRIU}`, log, lastWord], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (criu.stdout) await once(criu.stdout, 'data');
    return { end: () => criu.stdin?.end() };
  };

  test.each([
    ['Restore finished successfully. Tasks resumed.', false],
    ['cut sho', true],
  ])('it is waited for; its last words are: %s', { timeout: 20_000 }, async (lastWord, expected) => {
    const log = await logOf('(00.1) pie: seized\n');
    const criu = await startCriu(log, lastWord);
    const answer = standsInRestorer(log, [standing.pid ?? 0]);
    // Longer than a CRIU that is gone would be given.
    const early = await Promise.race([answer, pause(4_000, 'still waited for')]);
    criu.end();
    expect(early).toBe('still waited for');
    expect(await answer).toBe(expected);
  });
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
