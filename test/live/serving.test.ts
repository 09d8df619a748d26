/** A source that serves its memory stands still, whatever becomes of the CRIU that serves it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { labDown, labExec, labUp, type Lab } from '@cmt/lab';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { bundleOf, pathInHost, startContainer } from '../../apps/lab/src/demo/container.ts';
import { InHost } from '../support/in-host.ts';

interface Server {
  readonly pid: number;
  readonly images: string[];
}

const id = 'served';
const name = `tserving${process.pid}`;
let lab: Lab;
let driver: InHost;

/** Two processes that count. */
const COUNT = `(n=0; while :; do n=$((n + 1)); echo $n >> /data/child; sleep 0.01; done) &
n=0; while :; do n=$((n + 1)); echo $n >> /data/parent; sleep 0.01; done`;

beforeAll(async () => {
  lab = await labUp({ name, hosts: 1 });
}, 300_000);
afterAll(() => labDown({ name }));

beforeEach(async () => {
  driver = await InHost.start(lab, 'host1', 'runc-in-host.ts');
  await startContainer(lab, 'host1', {
    id,
    net: { kind: 'none' },
    mounts: 'usual',
    argv: ['/usr/bin/dash', '-c', COUNT],
    programs: ['/usr/bin/dash', '/usr/bin/sleep'],
  });
  await vi.waitFor(() => expect(Math.min(...counts())).toBeGreaterThan(3));
}, 60_000);
afterEach(async () => {
  await driver.call('destroy', id);
  await driver.end();
  expect(await processes()).toEqual([]);
  await inHost(`rm -rf --one-file-system '${bundleOf(id)}'`);
});

async function inHost(script: string): Promise<string> {
  return (await labExec(lab, 'host1', ['sh', '-c', script])).stdout;
}

const lines = (who: string): number[] => {
  try {
    const file = pathInHost(lab, 'host1', join(bundleOf(id), 'rootfs/data', who));
    return readFileSync(file, 'utf8').trim().split('\n').map(Number);
  } catch {
    return [];
  }
};
const counts = (): number[] => [lines('parent').length, lines('child').length];

/** Of runc and CRIU, in this host. */
const processes = async (): Promise<string[]> =>
  (await inHost("pgrep -x 'runc|criu' || true")).split('\n').filter(Boolean);

async function serving(): Promise<Server & { readonly before: number[] }> {
  const { value } = await driver.call<Server>('serve', id);
  expect(value.images).toContain('inventory.img');
  return { ...value, before: counts() };
}

/** Long enough for thirty rounds of those that count. */
async function expectStandsStill(before: number[]): Promise<void> {
  await inHost('sleep 0.3');
  expect(counts()).toEqual(before);
  expect(await inHost(`cat /sys/fs/cgroup/${id}/cgroup.events`)).toContain('frozen 1');
}

/** Each has counted on, and its whole record reads 1, 2, 3 …: nothing lost, nothing twice. */
async function expectGoesOn(before: number[]): Promise<void> {
  await vi.waitFor(
    () => expect(Math.min(...counts().map((now, n) => now - (before[n] ?? 0)))).toBeGreaterThan(3),
    5000,
  );
  for (const who of ['parent', 'child']) {
    const seen = lines(who).slice(0, -1);
    expect(seen).toEqual(seen.map((_, n) => n + 1));
  }
}

const nobodyServes = () => vi.waitFor(async () => expect(await processes()).toEqual([]), 5000);

test('when its CRIU is killed', async () => {
  const { before } = await serving();
  await expectStandsStill(before);
  const pids = await inHost('pgrep -x criu');
  expect(pids).toMatch(/^\d+$/);
  await inHost(`kill -KILL ${pids}`);
  await nobodyServes();
  await expectStandsStill(before);
  await driver.call('resume', id);
  await expectGoesOn(before);
});

test('when runc and CRIU are killed at once', async () => {
  const { before, pid } = await serving();
  await inHost(`kill -KILL -${pid}`);
  await nobodyServes();
  await expectStandsStill(before);
  await driver.call('resume', id);
  await expectGoesOn(before);
});

test('when the other end hangs up', async () => {
  const { before } = await serving();
  await driver.call('hangUp');
  await nobodyServes();
  await expectStandsStill(before);
  await driver.call('resume', id);
  await expectGoesOn(before);
});

test('when the worker dies, and with it its end of the socket; and can be served again', async () => {
  const { before } = await serving();
  await driver.end();
  await nobodyServes();
  await expectStandsStill(before);
  driver = await InHost.start(lab, 'host1', 'runc-in-host.ts');
  const { value } = await driver.call<Server>('serve', id);
  expect(value.images).toContain('inventory.img');
  await expectStandsStill(before);
  await driver.call('hangUp');
  await nobodyServes();
  await driver.call('resume', id);
  await expectGoesOn(before);
});

test('when it is destroyed, and runs nothing more', async () => {
  const { before } = await serving();
  await driver.call('destroy', id);
  expect(counts()).toEqual(before);
  expect(await inHost(`ls -d /run/runc/${id} /sys/fs/cgroup/${id} 2>/dev/null || true`)).toBe('');
});

test('opens no port', async () => {
  const listening = await inHost('ss -Hltn');
  await serving();
  expect(await inHost('ss -Hltn')).toBe(listening);
});
