/**
 * Runs inside a lab host: the runc driver and its gate, one JSON array `[method, …arguments]` a line in, one JSON answer a
 * line out. Killing this process is what the death of a worker is.
 */
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { criuConfigText } from '../../libs/host/src/criu/config.ts';
import { abortGate, gateTimes, openGate, prepareGate, waitHeld } from '../../libs/host/src/criu/gate.ts';
import { startScriptIn } from '../../libs/host/src/criu/start-gate.ts';
import { explainRestore } from '../../libs/host/src/criu/log.ts';
import { readDumpStats, readRestoreStats } from '../../libs/host/src/criu/stats.ts';
import { removeTree } from '../../libs/host/src/mounts.ts';
import { createRuntimes } from '../../libs/host/src/runtimes/registry.ts';
import { SERVE_FDS } from '../../libs/host/src/runtimes/serving.ts';
import type { ArmedDump, ArmedRestore, RestoreUnderWay } from '../../libs/host/src/runtimes/runtime.ts';

process.umask(0o077);
const base = '/run/cmt a test';
const images = join(base, 'images');
const gate = join(base, 'gate');
const startGate = join(base, 'start-gate');
const work = join(base, 'work');
const runtime = createRuntimes({ host: 'this-host' }).get('runc');
const limit = (): AbortSignal => AbortSignal.timeout(60_000);
let armed: ArmedDump | null = null;
let armedRestore: ArmedRestore | null = null;
let restore: RestoreUnderWay | null = null;

let client: Socket | null = null;

/** Two ends of one connection. */
async function socketPair(): Promise<readonly [Socket, Socket]> {
  const server = createServer();
  server.listen(join(base, 'pair.sock'));
  await once(server, 'listening');
  const own = connect(join(base, 'pair.sock'));
  const [given] = (await once(server, 'connection')) as [Socket];
  server.close();
  return [own, given];
}

async function directories(): Promise<void> {
  await Promise.all([images, work].map((path) => mkdir(path, { recursive: true })));
}

const methods = {
  state: (id: string) => runtime.state(id, limit()),
  list: () => runtime.list(limit()),
  pause: (id: string) => runtime.pause(id, limit()),
  resume: (id: string) => runtime.resume(id, limit()),
  destroy: (id: string) => runtime.destroy(id, limit()),
  /** A dump that waits. */
  async arm(id: string) {
    await Promise.all([removeTree(images), removeTree(work)]);
    await directories();
    const criuConfig = join(work, 'dump.conf');
    await writeFile(criuConfig, criuConfigText({ actionScript: startScriptIn(startGate) }));
    const plan = { images, work, parent: null, tcp: 'established', criuConfig, startGate } as const;
    armed = await runtime.armDump(id, plan, limit());
  },
  disarm: () => armed?.disarm(),
  async dump(id: string, stopAfterMs = 60_000) {
    await methods.arm(id);
    await armed?.dump(AbortSignal.timeout(stopAfterMs));
    return await readDumpStats(work);
  },
  /** Freezes it and serves its memory; this process keeps the other end of the socket. Answers as the driver does. */
  async serve(id: string) {
    await Promise.all([removeTree(images), removeTree(work)]);
    await directories();
    const criuConfig = join(work, 'serve.conf');
    await writeFile(criuConfig, criuConfigText({ serve: SERVE_FDS }));
    const plan = { images, work, parent: null, tcp: 'established', criuConfig } as const;
    const [own, given] = await socketPair();
    client = own;
    await runtime.pause(id, limit());
    const server = await runtime.dumpServing(id, plan, given, limit());
    given.destroy();
    return { ...server, images: await readdir(images) };
  },
  hangUp: () => void client?.destroy(),
  /** A restore that waits. */
  async armRestore(id: string, bundle: string) {
    await removeTree(work);
    await directories();
    const criuConfig = join(work, 'restore.conf');
    await writeFile(criuConfig, criuConfigText(await prepareGate(gate, { loopback: true })));
    const plan = { bundle, images, work, tcp: 'established', criuConfig } as const;
    armedRestore = await runtime.armRestore(id, plan, limit());
  },
  leave: () => armedRestore?.leave(),
  async begin() {
    restore = (await armedRestore?.begin()) ?? null;
    return restore && { pid: restore.pid, startTime: restore.startTime };
  },
  async restore(id: string, bundle: string) {
    await methods.armRestore(id, bundle);
    return await methods.begin();
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
