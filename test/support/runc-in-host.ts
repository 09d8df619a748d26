/**
 * Runs inside a lab host: the runc driver and its gate, one JSON array `[method, …arguments]` a line in, one JSON answer a
 * line out. Killing this process is what the death of a worker is.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { criuConfigText } from '../../libs/host/src/criu/config.ts';
import { abortGate, gateTimes, openGate, prepareGate, waitHeld } from '../../libs/host/src/criu/gate.ts';
import { explainRestore } from '../../libs/host/src/criu/log.ts';
import { readDumpStats, readRestoreStats } from '../../libs/host/src/criu/stats.ts';
import { removeTree } from '../../libs/host/src/mounts.ts';
import { createRuntimes } from '../../libs/host/src/runtimes/registry.ts';
import type { RestoreUnderWay } from '../../libs/host/src/runtimes/runtime.ts';

process.umask(0o077);
const base = '/run/cmt a test';
const images = join(base, 'images');
const gate = join(base, 'gate');
const work = join(base, 'work');
const runtime = createRuntimes({ host: 'this-host' }).get('runc');
const limit = (): AbortSignal => AbortSignal.timeout(60_000);
let restore: RestoreUnderWay | null = null;

async function directories(): Promise<void> {
  await Promise.all([images, work].map((path) => mkdir(path, { recursive: true })));
}

const methods = {
  state: (id: string) => runtime.state(id, limit()),
  list: () => runtime.list(limit()),
  pause: (id: string) => runtime.pause(id, limit()),
  resume: (id: string) => runtime.resume(id, limit()),
  destroy: (id: string) => runtime.destroy(id, limit()),
  async dump(id: string, stopAfterMs = 60_000) {
    await Promise.all([removeTree(images), removeTree(work)]);
    await directories();
    const criuConfig = join(work, 'dump.conf');
    await writeFile(criuConfig, criuConfigText({}));
    const plan = { images, work, parent: null, tcp: 'established', criuConfig } as const;
    await runtime.dump(id, plan, AbortSignal.timeout(stopAfterMs));
    return await readDumpStats(work);
  },
  async restore(id: string, bundle: string) {
    await removeTree(work);
    await directories();
    const criuConfig = join(work, 'restore.conf');
    await writeFile(criuConfig, criuConfigText(await prepareGate(gate, { loopback: true })));
    const startedAt = Date.now();
    restore = await runtime.restore(id, { bundle, images, work, tcp: 'established', criuConfig });
    return { pid: restore.pid, startTime: restore.startTime, startedAt };
  },
  held: () => waitHeld(gate, limit()),
  async open() {
    const toldAt = performance.now();
    await openGate(gate);
    return { openMs: performance.now() - toldAt, ...(await gateTimes(gate)) };
  },
  abort: () => abortGate(gate),
  ended: () => restore?.ended,
  restoreStats: () => readRestoreStats(work),
  explain: async (id: string) => (await explainRestore(work, { host: 'this-host', container: id })).failure,
};

async function answer(line: string): Promise<object> {
  const [method, ...args] = JSON.parse(line) as [keyof typeof methods, ...never[]];
  const started = performance.now();
  try {
    const value: unknown = await (methods[method] as (...given: never[]) => Promise<unknown>)(...args);
    return { value: value ?? null, ms: performance.now() - started };
  } catch (error) {
    const { message, failure } = error as Error & { failure?: unknown };
    return { error: { message, failure }, ms: performance.now() - started };
  }
}

for await (const line of createInterface({ input: process.stdin }))
  process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
