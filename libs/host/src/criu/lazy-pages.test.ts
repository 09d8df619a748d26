/** The guard of a daemon, with a program of our own in the daemon's place and a directory in that of its container's cgroup. */
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { tryRun } from '../process.ts';
import { abortGate, gateState, prepareGate } from './gate.ts';
import { GUARD } from './lazy-guard.ts';
import {
  canGuard,
  endLazyPages,
  guardAgain,
  guardCopy,
  guarded,
  lazyPagesState,
  whyLost,
  type ArmedLazyPages,
} from './lazy-pages.ts';

let root: string;
let directory: string;
let gate: string;
let cgroup: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cmt-lazy-'));
  directory = join(root, 'lazy');
  gate = join(root, 'gate');
  cgroup = join(root, 'cgroup');
  await Promise.all([mkdir(directory), mkdir(cgroup), prepareGate(gate)]);
  await writeFile(join(cgroup, 'cgroup.events'), 'populated 1\nfrozen 0\n');
  await writeFile(join(directory, 'guard.pl'), GUARD);
});
afterEach(async () => {
  await endLazyPages(directory);
  await rm(root, { recursive: true, force: true });
});

/** Holds a lock for as long as its descriptors are open, says that it listens, and ends when `end` appears. */
const DAEMON = `exec 9> lock; flock 9; printf . >&3; exec 3>&-
exec 8<> wait; until [ -e end ]; do read -t 0.01 -r -u 8 _; done; exit "$(cat end)"`;

async function arm(program = DAEMON): Promise<ArmedLazyPages> {
  const script = `cd '${root}' && ${program}`;
  return await guarded({ directory, gate }, join(directory, 'guard.pl'), ['bash', '-c', script]);
}

async function serving(): Promise<void> {
  await tryRun('mkfifo', [join(root, 'wait')], { timeoutMs: 5000 });
  await (await arm()).serve();
  await guardCopy(directory, cgroup);
}

const pidOf = async (who: 'guard' | 'daemon'): Promise<number> =>
  Number.parseInt(await readFile(join(directory, who), 'utf8'), 10);
const kill = async (who: 'guard' | 'daemon', signal: NodeJS.Signals = 'SIGKILL'): Promise<void> =>
  void process.kill(await pidOf(who), signal);

/** Whether what the daemon has open is still open. */
const holdsOn = async (): Promise<boolean> =>
  (await tryRun('flock', ['-n', join(root, 'lock'), 'true'], { timeoutMs: 5000 })).code !== 0;
const state = (): Promise<string> => lazyPagesState(directory);
const until = (wanted: string) => vi.waitFor(async () => expect(await state()).toBe(wanted), 5000);
async function endWith(code: number): Promise<void> {
  await writeFile(join(root, 'end.new'), String(code));
  await rename(join(root, 'end.new'), join(root, 'end'));
}
const containerDies = (): Promise<void> =>
  writeFile(join(cgroup, 'cgroup.events'), 'populated 0\nfrozen 0\n');

describe('a daemon under guard', () => {
  test('can be guarded here', async () => {
    expect(await canGuard(new AbortController().signal)).toBe(true);
  });

  test('is not begun before the word, and goes with its worker until then', async () => {
    expect(await state()).toBe('armed');
    await arm('touch begun');
    expect(await state()).toBe('serving');
    await endLazyPages(directory);
    expect(await tryRun('ls', [join(root, 'begun')], { timeoutMs: 5000 })).toMatchObject({ code: 2 });
  });

  test('that never listens is an error', async () => {
    await expect((await arm('exit 1')).serve()).rejects.toThrow('does not come to listen');
    await until('lost');
  });

  test('ends well with its last page', async () => {
    await serving();
    expect(await state()).toBe('serving');
    await endWith(0);
    await until('drained');
    expect(await gateState(gate)).toBe('armed');
  });

  test.each([
    ['is killed', () => kill('daemon'), 'signal 9'],
    ['breaks on a fault of its own', () => kill('daemon', 'SIGSEGV'), 'signal 11'],
    ['gives up', () => endWith(3), 'exit code 3'],
  ])('that %s lets go of nothing before the container is dead', async (_, how, why) => {
    await serving();
    await how();
    await until('lost');
    expect(await whyLost(directory)).toBe(why);
    await vi.waitFor(async () => expect(await readFile(join(cgroup, 'cgroup.kill'), 'utf8')).toBe('1'));
    expect(await holdsOn()).toBe(true);
    await containerDies();
    await vi.waitFor(async () => expect(await holdsOn()).toBe(false));
  });

  test('that is killed before its copy is held lets go when the gate has said no', async () => {
    await tryRun('mkfifo', [join(root, 'wait')], { timeoutMs: 5000 });
    await (await arm()).serve();
    await kill('daemon');
    await until('lost');
    expect(await holdsOn()).toBe(true);
    await expect(guardCopy(directory, cgroup)).rejects.toThrow('lost');
    await containerDies();
    await vi.waitFor(async () => expect(await holdsOn()).toBe(false));
    expect(await abortGate(gate)).toBe(true);
  });

  test.each(['SIGTERM', 'SIGSTOP', 'SIGHUP', 'SIGTSTP'] as const)('never sees %s', async (signal) => {
    await serving();
    await kill('daemon', signal);
    await endWith(0);
    await until('drained');
  });

  test('gets another guard for one that was killed', async () => {
    await serving();
    const first = await pidOf('guard');
    await kill('guard');
    await until('unguarded');
    await guardAgain({ directory, gate });
    expect(await state()).toBe('serving');
    expect(await pidOf('guard')).not.toBe(first);
    await kill('daemon');
    await until('lost');
    expect(await holdsOn()).toBe(true);
    await containerDies();
    await vi.waitFor(async () => expect(await holdsOn()).toBe(false));
  });

  test('that goes together with its guard is known to be gone', async () => {
    await serving();
    await kill('guard');
    await kill('daemon');
    await until('abandoned');
    await guardAgain({ directory, gate });
    expect(await state()).toBe('abandoned');
  });
});
