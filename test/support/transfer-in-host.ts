/**
 * Runs inside a lab host: one end of a transfer, as a worker holds it. A call `{id, method, args}` a line in, an answer
 * `{id, value | code}` a line out, several at the same time.
 */
import { mkdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { WorkerConfig } from '@cmt/contracts';
import type { Route } from '@cmt/contracts';
import { createLinks, createReceiver, hostEndpoint, loadIdentity, receiveSocketOf } from '@cmt/host';
import { codeOf } from './transfer-codes.ts';
import { ownFigures } from './own-figures.ts';

process.umask(0o077);
const [name, address, sshKey] = process.argv.slice(2);
const config = WorkerConfig.parse({ name, address, sshKey, stateDir: '/run/transfer state' });
const images = '/run/transfer images';
const bundle = '/run/transfer bundle';
const timings = {
  handshake: 5000,
  heartbeat: 200,
  silence: 1500,
  grace: 500,
  stall: 5000,
  pagesSilence: 5000,
};
const limit = (): AbortSignal => AbortSignal.timeout(60_000);

const identity = await loadIdentity(config.stateDir);
const receiver = createReceiver({
  ...{ host: config.name, identity, timings },
  ...{ socket: receiveSocketOf(config), address: config.address, port: config.receivePort },
});
await receiver.listen();
await Promise.all([images, bundle].map((path) => mkdir(path, { recursive: true })));
const links = createLinks({ host: config.name, identity, sshKey: config.sshKey, timings });
let route: Route | null = null;
const figures = ownFigures();

const link = () => {
  if (route === null) throw new Error('no route');
  return links.get('m1', 1, route, limit());
};

const methods: Readonly<Record<string, (arg: never) => Promise<unknown>>> = {
  endpoint: () => hostEndpoint(config, identity),
  prepare: async (sourceKey: string) => {
    await receiver.expect({
      ...{ migration: 'm1', epoch: 1, sourceKey, images, bundle, quota: 2 ** 33, transport: 'ssh' },
    });
  },
  complete: () => receiver.session('m1', 1)?.complete(limit()) ?? Promise.reject(new Error('no session')),
  route: (to: Route) => {
    route = to;
    return Promise.resolve();
  },
  drop: () => links.drop('m1'),
  connect: async () => (await link()).clockOffsetMs,
  images: async (directory: string) => (await link()).sendImages('final', directory, limit()).finish(),
  files: async (directory: string) => (await link()).syncFiles(directory, limit()),
  /** Opens what images need, as it is done before a freeze; by the way that is wanted. Then the figures begin anew. */
  warm: async (way: 'carried' | 'channel' | 'packed') => {
    await links.drop('m1');
    if (route !== null) route = { ...route, compress: way === 'packed' ? 'zstd' : undefined };
    const opened = await link();
    if (way === 'channel') Object.assign(opened, { uncarried: 'not wanted' });
    await opened.warmUp(limit());
    figures.reset();
    return opened.uncarried;
  },
  bandwidth: async (rate: number | null) => void ((await link()).bandwidth = rate),
  reset: () => Promise.resolve(figures.reset()),
  figures: () => Promise.resolve(figures.read()),
  go: async () => (await link()).go(limit()),
  armed: async () => (await link()).restorerArmed(limit()),
};

async function answer(line: string): Promise<void> {
  const { id, method, arg } = JSON.parse(line) as { id: number; method: string; arg: never };
  const work = methods[method]?.(arg) ?? Promise.reject(new Error(`no method ${method}`));
  const result = await work.then(
    (value) => ({ id, value: value ?? null }),
    async () => ({ id, code: await codeOf(work) }),
  );
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

for await (const line of createInterface({ input: process.stdin })) void answer(line);
await links.closeAll();
await receiver.close();
