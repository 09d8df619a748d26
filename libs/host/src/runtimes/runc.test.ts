import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { ContainerId } from '@cmt/contracts';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { criuConfigText } from '../criu/config.ts';
import { abortGate, openGate, prepareGate, waitHeld } from '../criu/gate.ts';
import { explainRestore } from '../criu/log.ts';
import { startScriptIn } from '../criu/start-gate.ts';
import { readDumpStats, readRestoreStats } from '../criu/stats.ts';
import { isAlive } from '../proc.ts';
import { run } from '../process.ts';
import { operationsOn, type Operation } from './operations.ts';
import { createRuntimes } from './registry.ts';
import type { ArmedDumpPlan, RestorePlan, RestoreUnderWay, Runtime } from './runtime.ts';

const standIns = join(import.meta.dirname, '../../../../test/bin');
const signal = new AbortController().signal;
const container: ContainerId = 'c1';
let root: string;
let bundle: string;
let runtime: Runtime;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cmt-runc-'));
  bundle = join(root, 'a bundle');
  await mkdir(bundle);
  vi.stubEnv('CMT_FAKE_DIR', join(root, 'fake'));
  vi.stubEnv('PATH', `${standIns}${delimiter}${process.env['PATH'] ?? ''}`);
  runtime = createRuntimes({ host: 'h1', root: join(root, 'runc-root') }).get('runc');
  await run('runc', ['run', '-d', '--bundle', bundle, container], { timeoutMs: 5000 });
});
afterEach(async () => {
  await runtime.destroy(container, signal);
  vi.unstubAllEnvs();
  await rm(root, { recursive: true, force: true });
});

const fault = (name: string, text = ''): Promise<void> => writeFile(join(root, 'fake', name), text);
const counts = async (): Promise<number[]> => {
  const text = await readFile(join(root, 'fake/beats', container), 'utf8').catch(() => '');
  return text
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => Number(line.split(' ')[1]));
};
const statusOf = async (): Promise<string | undefined> => (await runtime.state(container, signal))?.status;

/** What the runtime has started, and nothing else. */
async function theOperation(): Promise<Operation> {
  const [operation] = await operationsOn(join(root, 'runc-root'), container);
  if (operation === undefined) throw new Error('nothing is under way');
  return operation;
}

/** 1, 2, 3 …: nothing lost, nothing done twice. */
const expectNoGap = (seen: number[]): void => expect(seen).toEqual(seen.map((_, n) => n + 1));

async function planDump(round: string, parent: string | null = null): Promise<ArmedDumpPlan> {
  const [images, work] = [join(root, 'images', round), join(root, 'work', round)];
  await Promise.all([images, work].map((path) => mkdir(path, { recursive: true })));
  const criuConfig = join(work, 'criu.conf');
  const startGate = join(root, 'start-gate');
  const more = round === 'final' ? { actionScript: startScriptIn(startGate) } : {};
  await writeFile(criuConfig, criuConfigText(more));
  return { images, work, parent, tcp: 'established', criuConfig, startGate };
}

async function planRestore(): Promise<RestorePlan & { gate: string }> {
  const work = join(root, 'work/restore');
  await mkdir(work, { recursive: true });
  const gate = join(root, 'gate');
  const criuConfig = join(work, 'criu.conf');
  await writeFile(criuConfig, criuConfigText(await prepareGate(gate)));
  return { bundle, images: join(root, 'images/final'), work, tcp: 'established', criuConfig, gate };
}

const restoreNow = async (plan: RestorePlan): Promise<RestoreUnderWay> =>
  (await runtime.armRestore(container, plan, signal)).begin();

async function pausedAndDumped(): Promise<void> {
  const armed = await runtime.armDump(container, await planDump('final'), signal);
  await runtime.pause(container, signal);
  await armed.dump(signal);
}

describe('looking', () => {
  test('version, list and state', async () => {
    expect(await runtime.version(signal)).toBe('1.3.6+fake');
    expect(await runtime.list(signal)).toMatchObject([
      { id: container, runtime: 'runc', status: 'running', bundle },
    ]);
    expect(await runtime.state(container, signal)).toMatchObject({
      id: container,
      status: 'running',
      bundle,
    });
    expect(await runtime.state('nobody', signal)).toBeNull();
  });

  test('no runc, no version', async () => {
    vi.stubEnv('PATH', bundle);
    expect(await runtime.version(signal)).toBeNull();
    vi.stubEnv('PATH', `${standIns}${delimiter}/usr/bin${delimiter}/bin`);
  });

  test('other runtimes are not there', () => {
    const runtimes = createRuntimes({ host: 'h1' });
    expect(runtimes.all().map(({ name }) => name)).toEqual(['runc']);
    expect(() => runtimes.get('podman')).toThrow('podman is not supported on h1');
  });
});

describe('freezing', () => {
  test('pause and resume, each twice', async () => {
    await runtime.pause(container, signal);
    await runtime.pause(container, signal);
    expect(await statusOf()).toBe('paused');
    await runtime.resume(container, signal);
    await runtime.resume(container, signal);
    expect(await statusOf()).toBe('running');
  });

  test('what cannot be frozen says why', async () => {
    await fault('fail-pause', 'unable to freeze: D state');
    await expect(runtime.pause(container, signal)).rejects.toThrow(
      /^c1 on h1 could not be frozen: .*unable to freeze: D state/,
    );
  });

  test('what is gone cannot be resumed', async () => {
    await runtime.destroy(container, signal);
    await expect(runtime.resume(container, signal)).rejects.toMatchObject({
      failure: { code: 'CONTAINER_NOT_RUNNING', details: { status: 'gone' } },
    });
  });
});

describe('dumping', () => {
  test('stays paused, counts nothing meanwhile, and goes on with the next number', async () => {
    await pausedAndDumped();
    const before = await counts();
    expect(await statusOf()).toBe('paused');
    expect(await readDumpStats(join(root, 'work/final'))).toMatchObject({ pagesWritten: 64, frozenMs: 20 });
    expect(await counts()).toEqual(before);
    await runtime.resume(container, signal);
    await vi.waitFor(async () => expect((await counts()).length).toBeGreaterThan(before.length));
    expectNoGap(await counts());
  });

  test('rounds build upon each other and shrink', async () => {
    await runtime.preDump(container, await planDump('1'), signal);
    await runtime.preDump(container, await planDump('2', '../1'), signal);
    expect(await statusOf()).toBe('running');
    await runtime.pause(container, signal);
    await (await runtime.armDump(container, await planDump('final', '../2'), signal)).dump(signal);
    const stats = await Promise.all(
      ['1', '2', 'final'].map((round) => readDumpStats(join(root, 'work', round))),
    );
    expect(stats.map(({ pagesWritten }) => pagesWritten)).toEqual([64, 16, 4]);
    expect(stats.map(({ pagesSkipped }) => pagesSkipped)).toEqual([0, 48, 60]);
  });

  test('a refusal is told as one, and the container stays frozen', async () => {
    await fault('fail-checkpoint', "Can't lookup mount=72 for fd=2 path=/var/log/x");
    await expect(pausedAndDumped()).rejects.toMatchObject({
      failure: {
        code: 'DUMP_REFUSED',
        details: { host: 'h1', container, log: join(root, 'work/final/dump.log') },
      },
    });
    expect(await statusOf()).toBe('paused');
  });

  test('tells when all images are written, before it has ended', async () => {
    await fault('hold-written');
    const plan = await planDump('final');
    const armed = await runtime.armDump(container, plan, signal);
    await runtime.pause(container, signal);
    let ended: Promise<void> = Promise.resolve();
    const told = new Promise<string[]>((resolve) => {
      ended = armed.dump(signal, () => void readdir(plan.images).then(resolve));
    });
    expect(await told).toContain('inventory.img');
    await rm(join(root, 'fake/hold-written'));
    await ended;
  });

  test('that is armed leaves the container alone, and is gone when it is disarmed', async () => {
    const armed = await runtime.armDump(container, await planDump('final'), signal);
    expect(await operationsOn(join(root, 'runc-root'), container)).toHaveLength(1);
    expect(await statusOf()).toBe('running');
    await armed.disarm();
    await armed.disarm();
    expect(await operationsOn(join(root, 'runc-root'), container)).toEqual([]);
    expect(await statusOf()).toBe('running');
    expectNoGap(await counts());
    await pausedAndDumped();
  });

  test('that cannot be armed is told as a dump that failed, and leaves nothing', async () => {
    await runtime.destroy(container, signal);
    await expect(runtime.armDump(container, await planDump('final'), signal)).rejects.toMatchObject({
      failure: { code: 'DUMP_FAILED' },
    });
    expect(await operationsOn(join(root, 'runc-root'), container)).toEqual([]);
  });

  test('stops when it is told to, with nothing left running', async () => {
    await fault('hang-checkpoint');
    const armed = await runtime.armDump(container, await planDump('final'), signal);
    await runtime.pause(container, signal);
    const stop = new AbortController();
    const dump = armed.dump(stop.signal);
    await vi.waitFor(async () =>
      expect(await operationsOn(join(root, 'runc-root'), container)).toHaveLength(1),
    );
    stop.abort(new Error('enough'));
    await expect(dump).rejects.toThrow('enough');
    expect(await operationsOn(join(root, 'runc-root'), container)).toEqual([]);
    expect(await statusOf()).toBe('paused');
  });
});

describe('restoring', () => {
  test('is held complete, runs nothing, and goes on exactly where it was once the gate opens', async () => {
    await pausedAndDumped();
    const before = await counts();
    await runtime.destroy(container, signal);
    const plan = await planRestore();
    const restore = await restoreNow(plan);
    const { initPid } = await waitHeld(plan.gate, signal);
    expect(await isAlive(restore)).toBe(true);
    expect(await runtime.state(container, signal)).toMatchObject({ pid: initPid });
    expect(await counts()).toEqual(before);
    await openGate(plan.gate);
    expect(await restore.ended).toEqual({ code: 0 });
    expect(await isAlive(restore)).toBe(false);
    await vi.waitFor(async () => expect((await counts()).length).toBeGreaterThan(before.length));
    expectNoGap(await counts());
    expect(await readRestoreStats(plan.work)).toMatchObject({ restoreMs: 30 });
  });

  test('an aborted one leaves no container', async () => {
    await pausedAndDumped();
    const before = await counts();
    await runtime.destroy(container, signal);
    const plan = await planRestore();
    const restore = await restoreNow(plan);
    await waitHeld(plan.gate, signal);
    await abortGate(plan.gate);
    expect(await restore.ended).toEqual({ code: 1 });
    expect(await runtime.state(container, signal)).toBeNull();
    expect(await counts()).toEqual(before);
  });

  test('one under way is destroyed, before it is held and after', async () => {
    await pausedAndDumped();
    await runtime.destroy(container, signal);
    const held = await planRestore();
    const first = await restoreNow(held);
    await waitHeld(held.gate, signal);
    await runtime.destroy(container, signal);
    expect((await first.ended).code).not.toBe(0);
    await fault('hang-restore');
    const second = await restoreNow(await planRestore());
    await runtime.destroy(container, signal);
    expect((await second.ended).code).not.toBe(0);
    expect(await runtime.state(container, signal)).toBeNull();
    expect(await operationsOn(join(root, 'runc-root'), container)).toEqual([]);
  });

  test('that is armed does nothing, and is gone when it is left', async () => {
    await pausedAndDumped();
    await runtime.destroy(container, signal);
    const armed = await runtime.armRestore(container, await planRestore(), signal);
    expect(await operationsOn(join(root, 'runc-root'), container)).toHaveLength(1);
    expect(await runtime.state(container, signal)).toBeNull();
    await armed.leave();
    await armed.leave();
    expect(await operationsOn(join(root, 'runc-root'), container)).toEqual([]);
    expect(await runtime.state(container, signal)).toBeNull();
  });

  test('that was killed while it waited begins all the same', async () => {
    await pausedAndDumped();
    await runtime.destroy(container, signal);
    const plan = await planRestore();
    const armed = await runtime.armRestore(container, plan, signal);
    const waiting = await theOperation();
    process.kill(waiting.pid, 'SIGKILL');
    await vi.waitFor(async () => expect(await isAlive(waiting)).toBe(false));
    const restore = await armed.begin();
    await waitHeld(plan.gate, signal);
    await openGate(plan.gate);
    expect(await restore.ended).toEqual({ code: 0 });
    await armed.leave();
    expect(await statusOf()).toBe('running');
  });

  test('that does not hear that it is left is killed', async () => {
    await pausedAndDumped();
    await runtime.destroy(container, signal);
    const armed = await runtime.armRestore(container, await planRestore(), signal);
    process.kill((await theOperation()).pid, 'SIGSTOP');
    await armed.leave();
    expect(await operationsOn(join(root, 'runc-root'), container)).toEqual([]);
  });

  test('a name that is taken is said to be', async () => {
    await pausedAndDumped();
    const plan = await planRestore();
    expect(await (await restoreNow(plan)).ended).toEqual({ code: 1 });
    expect((await explainRestore(plan.work, { host: 'h1', container })).failure.code).toBe('NAME_TAKEN');
    expect(await statusOf()).toBe('paused');
  });
});

describe('destroying', () => {
  test('running, paused, gone', async () => {
    await runtime.destroy(container, signal);
    await runtime.destroy(container, signal);
    expect(await runtime.list(signal)).toEqual([]);
    expect(await readdir(join(root, 'fake/containers'))).toEqual([]);
  });
});
