/** The runc driver and the gate on real runc and CRIU: exact continuation, a held copy that runs nothing, and nothing left behind. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { start } from '@cmt/host';
import { labDown, labExec, labExecArgv, labUp, type Lab } from '@cmt/lab';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { bundle } from '../support/bundle.ts';
import { bundleOf, pathInHost, startContainer } from '../../apps/lab/src/demo/container.ts';

const id = 'counted';
const name = `truncdriver${process.pid}`;
const DRIVER = '/run/driver.mjs';
let lab: Lab;
let driver: Driver;

/** The driver in its host, as a worker holds it. */
class Driver {
  readonly #process = start('sh', ['-c', 'exec "$@"', 'sh', ...labExecArgv(lab, 'host1', ['node', DRIVER])], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  readonly #lines: AsyncIterator<string>;

  constructor() {
    const { stdout } = this.#process;
    if (stdout === null) throw new Error('the driver has no output');
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  /** Calls a method of test/support/runc-in-host.ts. Rejects as that does. */
  async call<T = unknown>(...words: readonly unknown[]): Promise<T> {
    this.#process.stdin?.write(`${JSON.stringify(words)}\n`);
    const line = await this.#lines.next();
    if (line.done === true) throw new Error('the driver has ended');
    const answer = JSON.parse(line.value) as { value: T; error?: { message: string } };
    if (answer.error) throw new Error(answer.error.message);
    return answer.value;
  }

  /** What the death of a worker is. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#process;
  }
}

/** Two processes that count, and a file lock. */
const COUNT = `exec 9> /data/lock; flock -n 9
(n=0; while :; do n=$((n + 1)); echo $n >> /data/child; sleep 0.01; done) &
n=0; while :; do n=$((n + 1)); echo $n >> /data/parent; sleep 0.01; done`;

beforeAll(async () => {
  lab = await labUp({ name, hosts: 1 });
  await bundle(join(import.meta.dirname, '../support/runc-in-host.ts'), pathInHost(lab, 'host1', DRIVER));
}, 300_000);
afterAll(() => labDown({ name }));

beforeEach(async () => {
  driver = new Driver();
  await startContainer(lab, 'host1', {
    id,
    net: { kind: 'none' },
    mounts: 'usual',
    argv: ['/usr/bin/dash', '-c', COUNT],
    programs: ['/usr/bin/dash', '/usr/bin/sleep', '/usr/bin/flock'],
  });
  await vi.waitFor(() =>
    expect(Math.min(counts('parent').length, counts('child').length)).toBeGreaterThan(3),
  );
});
afterEach(async () => {
  await driver.call('destroy', id);
  await driver.kill();
  expect(await leftovers()).toEqual([]);
  await inHost(`rm -rf --one-file-system '${bundleOf(id)}'`);
});

async function inHost(script: string): Promise<string> {
  return (await labExec(lab, 'host1', ['sh', '-c', script])).stdout;
}

const data = (file: string): string => pathInHost(lab, 'host1', join(bundleOf(id), 'rootfs/data', file));
const counts = (who: 'parent' | 'child'): number[] =>
  existsSync(data(who)) ? readFileSync(data(who), 'utf8').trim().split('\n').map(Number) : [];
const bothCounts = (): readonly [number, number] => [counts('parent').length, counts('child').length];

/** Each of the two has counted on, and its whole record reads 1, 2, 3 …: nothing lost, nothing twice. */
async function expectExactContinuation(before: readonly [number, number]): Promise<void> {
  await vi.waitFor(
    () => expect(Math.min(...bothCounts().map((now, n) => now - (before[n] ?? 0)))).toBeGreaterThan(3),
    5000,
  );
  for (const who of ['parent', 'child'] as const) {
    const seen = counts(who).slice(0, -1);
    expect(seen).toEqual(seen.map((_, n) => n + 1));
  }
}

/** Whatever of the container there is on the host. */
async function leftovers(): Promise<string[]> {
  const script = `ls -d /run/runc/${id} /sys/fs/cgroup/${id} 2> /dev/null
    grep -E 'criu|${id}' /proc/self/mountinfo | cut -d' ' -f5
    pgrep -a 'runc|criu|gate.sh' ; pgrep -af ' restore .*${id}' ; pgrep -af '/data/parent'; true`;
  return (await inHost(script))
    .split('\n')
    .filter((line) => line !== '' && !line.includes('pgrep') && !line.includes(DRIVER));
}

const isLocked = async (): Promise<boolean> =>
  (await labExec(lab, 'host1', ['flock', '-n', join(bundleOf(id), 'rootfs/data/lock'), 'true'])).code !== 0;

async function pauseAndDump(): Promise<readonly [number, number]> {
  await driver.call('pause', id);
  await driver.call('dump', id);
  return bothCounts();
}

/** Dumped, gone, and restored up to the gate. */
async function holdCopy(): Promise<{ before: readonly [number, number]; pid: number }> {
  const before = await pauseAndDump();
  await driver.call('destroy', id);
  const { pid } = await driver.call<{ pid: number }>('restore', id, bundleOf(id));
  await driver.call('held');
  return { before, pid };
}

test('a host that never had a container has none', async () => {
  await driver.call('destroy', id);
  await inHost('rmdir /run/runc');
  expect(await driver.call('list')).toEqual([]);
});

describe('the source', () => {
  test('stands frozen through a dump, and goes on with the very next instruction', async () => {
    await driver.call('pause', id);
    await driver.call('pause', id);
    const before = bothCounts();
    const stats = await driver.call<{ pagesWritten: number; frozenMs: number }>('dump', id);
    expect(stats.pagesWritten).toBeGreaterThan(50);
    expect(await driver.call('state', id)).toMatchObject({
      status: 'paused',
      cgroup: `/sys/fs/cgroup/${id}`,
    });
    expect(bothCounts()).toEqual(before);
    await driver.call('resume', id);
    await driver.call('resume', id);
    await expectExactContinuation(before);
    expect(await isLocked()).toBe(true);
  });

  test('is frozen after a dump that was stopped in its middle, and goes on exactly', async () => {
    await driver.call('pause', id);
    for (const stopAfterMs of [20, 40, 60, 80]) {
      await driver.call('dump', id, stopAfterMs).catch((error: unknown) => error);
      expect(await driver.call('state', id)).toMatchObject({ status: 'paused' });
    }
    const before = bothCounts();
    await driver.call('resume', id);
    await expectExactContinuation(before);
    expect(await leftoverOperations()).toEqual([]);
  });

  test('runs on while a dump of it is armed, and when that is disarmed or dies with its worker', async () => {
    await driver.call('arm', id);
    await driver.call('disarm');
    expect(await leftoverOperations()).toEqual([]);
    await driver.call('arm', id);
    const before = bothCounts();
    await driver.kill();
    await vi.waitFor(async () => expect(await leftoverOperations()).toEqual([]), 10_000);
    await expectExactContinuation(before);
    driver = new Driver();
    expect(await driver.call('state', id)).toMatchObject({ status: 'running' });
  });

  test('that is destroyed while frozen does not run another instruction', async () => {
    await driver.call('pause', id);
    const before = bothCounts();
    await driver.call('destroy', id);
    expect(bothCounts()).toEqual(before);
    expect(await driver.call('state', id)).toBeNull();
    expect(await leftovers()).toEqual([]);
  });

  test('that CRIU refuses is still frozen, and the reason is told', async () => {
    await driver.call('destroy', id);
    await inHost(`runc run -d --bundle ${bundleOf(id)} ${id} < /dev/null > /run/outside 2>&1`);
    await driver.call('pause', id);
    await expect(driver.call('dump', id)).rejects.toThrow(
      /^CRIU refuses to dump counted on this-host: file descriptor 1 \(.*outside\) leads out/,
    );
    expect(await driver.call('state', id)).toMatchObject({ status: 'paused' });
  });
});

const leftoverOperations = async (): Promise<string[]> =>
  (await leftovers()).filter((line) => /runc --root|criu|gate/.test(line));

const armedRestores = async (): Promise<string[]> =>
  (await inHost(`pgrep -f '^runc .* [r]estore .*${id}'`)).split('\n').filter(Boolean);

describe('the copy', () => {
  test('is held complete and runs nothing until its gate opens, then goes on exactly, lock included', async () => {
    const { before } = await holdCopy();
    expect(await driver.call('state', id)).toMatchObject({ status: 'running' });
    await inHost('sleep 0.3');
    expect(bothCounts()).toEqual(before);
    await driver.call('open');
    expect(await driver.call('ended')).toEqual({ code: 0 });
    await expectExactContinuation(before);
    expect(await isLocked()).toBe(true);
    const { pid } = await driver.call<{ pid: number }>('state', id);
    expect(await inHost(`nsenter -t ${pid} -n ip link show lo`)).toContain('LOOPBACK,UP');
    expect(await leftoverOperations()).toEqual([]);
    expect(await driver.call('restoreStats')).toMatchObject({ restoreMs: expect.any(Number) as number });
  });

  test('that is to be restored is but a name while its restore is armed, and nowhere when that is left or dies with its worker', async () => {
    await pauseAndDump();
    await driver.call('destroy', id);
    await driver.call('armRestore', id, bundleOf(id));
    expect(await armedRestores()).toHaveLength(1);
    expect(await driver.call('state', id)).toBeNull();
    expect((await leftovers()).filter((line) => !line.includes(' restore '))).toEqual([`/run/runc/${id}`]);
    await driver.call('leave');
    expect(await leftovers()).toEqual([]);
    await driver.call('armRestore', id, bundleOf(id));
    expect(await armedRestores()).toHaveLength(1);
    await driver.kill();
    await vi.waitFor(async () => expect(await leftovers()).toEqual([]), 10_000);
    driver = new Driver();
    expect(await driver.call('state', id)).toBeNull();
  });

  test('whose restore was killed while it was armed is restored all the same', async () => {
    const before = await pauseAndDump();
    await driver.call('destroy', id);
    await driver.call('armRestore', id, bundleOf(id));
    const [waiting] = await armedRestores();
    await inHost(`kill -KILL ${waiting}; while kill -0 ${waiting}; do sleep 0.01; done`);
    await driver.call('begin');
    await driver.call('held');
    expect(bothCounts()).toEqual(before);
    await driver.call('open');
    expect(await driver.call('ended')).toEqual({ code: 0 });
    await expectExactContinuation(before);
  });

  test('that is aborted leaves nothing, and can be restored once more', async () => {
    const { before } = await holdCopy();
    await driver.call('abort');
    expect(await driver.call('ended')).toEqual({ code: 1 });
    expect(bothCounts()).toEqual(before);
    expect(await driver.call('state', id)).toBeNull();
    expect(await leftovers()).toEqual([]);
    await driver.call('restore', id, bundleOf(id));
    await driver.call('held');
    await driver.call('open');
    await expectExactContinuation(before);
  });

  test('outlives the worker that restored it, and the next one opens the gate', async () => {
    const { before, pid } = await holdCopy();
    await driver.kill();
    await inHost('sleep 0.3');
    expect(await inHost(`ps -o args= -p ${pid}`)).toContain('restore');
    expect(bothCounts()).toEqual(before);
    driver = new Driver();
    expect(await driver.call('held')).toMatchObject({ initPid: expect.any(Number) as number });
    await driver.call('open');
    await expectExactContinuation(before);
    await vi.waitFor(async () => expect(await leftoverOperations()).toEqual([]));
  });

  test('can be destroyed while it is being restored, at any moment', async () => {
    const before = await pauseAndDump();
    await driver.call('destroy', id);
    for (const ms of [0, 20, 40, 60, 90, 120]) {
      await driver.call('restore', id, bundleOf(id));
      await inHost(`sleep ${ms / 1000}`);
      await driver.call('destroy', id);
      expect(await leftovers()).toEqual([]);
    }
    expect(bothCounts()).toEqual(before);
  });

  test('of which runc and CRIU were killed runs nothing, and is destroyed', async () => {
    const { before, pid } = await holdCopy();
    await inHost(`kill -KILL -${pid}; sleep 0.3`);
    expect(bothCounts()).toEqual(before);
    await driver.call('destroy', id);
    expect(await leftovers()).toEqual([]);
    expect(bothCounts()).toEqual(before);
  });

  test('that cannot be restored says why', async () => {
    const { before } = await holdCopy();
    await driver.call('abort');
    await inHost(`echo longer >> ${bundleOf(id)}/rootfs/usr/bin/dash`);
    await driver.call('restore', id, bundleOf(id));
    expect(await driver.call('ended')).toEqual({ code: 1 });
    expect(await driver.call('explain', id)).toMatchObject({
      code: 'RESTORE_REFUSED',
      details: { reason: expect.stringContaining('usr/bin/dash') as string },
    });
    expect(bothCounts()).toEqual(before);
  });
});
