/** The two ends of a transfer in one process: a receiver as a target has it, links as a source has them. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Route } from '@cmt/contracts';
import { createLinks, createReceiver, loadIdentity, loadOwnHostKey } from '@cmt/host';
import type { Expectation, Identity, Links, Receiver, Session, Timings } from '@cmt/host';
import { expect } from 'vitest';
import { freePort } from './sshd.ts';

export { codeOf } from './transfer-codes.ts';

export const NEVER = new AbortController().signal;

export const QUICK: Timings = {
  ...{ handshake: 8000, heartbeat: 100, silence: 1500 },
  ...{ grace: 300, stall: 3000, pagesSilence: 1500 },
};

export interface TransferPair {
  readonly directory: string;
  readonly receiver: Receiver;
  readonly links: Links;
  readonly source: Identity;
  readonly target: Identity;
  readonly socket: string;
  readonly port: number;
  /** Of the ssh that an agentless target speaks itself. */
  readonly hostKey: string;
  /** Why connections were turned away. */
  readonly refused: string[];
  /** Directory that is sent from, and where it arrives. */
  readonly outbox: string;
  readonly inbox: string;
  readonly bundle: string;
  route(changes?: { transport?: Route['transport'] } & Partial<Route['endpoint']>): Route;
  expectation(changes?: Partial<Expectation>): Expectation;
  expect(changes?: Partial<Expectation>): Promise<Session>;
  close(): Promise<void>;
}

export interface PairOptions {
  readonly ssh?: { readonly key?: string; readonly agent?: string; readonly knownHosts?: string };
  readonly endpoint?: Partial<Route['endpoint']>;
  readonly timings?: Timings;
  /** The target speaks ssh itself, as a worker does that was started over ssh; `relay` leads to it by way of its client. */
  readonly agentless?: boolean;
}

export async function startPair(options: PairOptions = {}): Promise<TransferPair> {
  const directory = await mkdtemp(join(tmpdir(), 'cmt-transfer-'));
  const at = (name: string) => join(directory, name);
  const [source, target, port] = await Promise.all([
    loadIdentity(at('source')),
    loadIdentity(at('target')),
    freePort(),
    ...['outbox', 'inbox', 'bundle with spaces'].map((name) => mkdir(at(name), { mode: 0o700 })),
  ]);
  const hostKey = await loadOwnHostKey(at('target'));
  const refused: string[] = [];
  const timings = options.timings ?? QUICK;
  const socket = at('target/run/receive.sock');
  const receiver = createReceiver({
    ...{ host: 'target', identity: target, socket, address: '127.0.0.1', port, timings },
    own:
      options.agentless === true
        ? { socket: at('client/receive.sock'), uid: 0, gid: 0, hostKey: hostKey.private }
        : undefined,
    onRefused: (reason) => refused.push(reason),
  });
  await receiver.listen();
  const { key: sshKey, agent, knownHosts } = options.ssh ?? {};
  const relay = options.agentless === true ? at('relay.sock') : undefined;
  const links = createLinks({ host: 'source', identity: source, sshKey, agent, knownHosts, relay, timings });
  const expectation = (changes: Partial<Expectation> = {}): Expectation => ({
    ...{ migration: 'm1', epoch: 1, sourceKey: source.publicKey, images: at('inbox') },
    ...{ bundle: at('bundle with spaces'), quota: 2 ** 30, transport: 'tcp', ...changes },
  });
  return {
    ...{ directory, receiver, links, source, target, socket, port, refused, hostKey: hostKey.public },
    ...{ outbox: at('outbox'), inbox: at('inbox'), bundle: at('bundle with spaces') },
    route: ({ transport = 'tcp', ...changes } = {}) => ({
      transport,
      peer: 'target',
      endpoint: {
        ...{ address: '127.0.0.1', sshPort: 1, sshUser: 'root', sshHostKeys: [], receiveSocket: socket },
        ...{ receivePort: port, publicKey: target.publicKey, ...options.endpoint, ...changes },
      },
    }),
    expectation,
    expect: (changes) => receiver.expect(expectation(changes)),
    close: async () => {
      await links.closeAll();
      await receiver.close();
      await rm(directory, { recursive: true });
    },
  };
}

/** Files of random bytes, by name and size. */
export async function writeImages(directory: string, sizes: Readonly<Record<string, number>>): Promise<void> {
  await mkdir(directory, { recursive: true });
  await Promise.all(
    Object.entries(sizes).map(([name, size]) => writeFile(join(directory, name), randomBytes(size))),
  );
}

/** Content of every file of a directory, for comparison. */
export async function contentOf(directory: string): Promise<Record<string, string>> {
  const names = (await readdir(directory, { withFileTypes: true })).filter((entry) => entry.isFile());
  const contents = names.map(async ({ name }) => {
    const bytes = await readFile(join(directory, name));
    return [name, bytes.toString('base64')] as const;
  });
  return Object.fromEntries(await Promise.all(contents));
}

/** Looks again every few milliseconds; the test's own time limit ends it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Images as CRIU leaves them: large, small and empty. */
export const IMAGES = {
  'pages-1.img': 3_000_000,
  'core-1.img': 900,
  'pages-2.img': 0,
  'inventory.img': 70_000,
};

/** A whole move of the outbox, as images and as files, up to the word to restore; both arrive as they left. */
export async function move(pair: TransferPair, transport: Route['transport']): Promise<void> {
  const session = await pair.expect({ transport });
  const link = await pair.links.get('m1', 1, pair.route({ transport }), NEVER);
  const complete = session.complete(NEVER);
  session.arm();
  await Promise.all([link.restorerArmed(NEVER), link.warmUp(NEVER)]);
  const { bytesSent } = await link.sendImages('final', pair.outbox, NEVER).finish();
  await link.syncFiles(pair.outbox, NEVER);
  await link.go(NEVER);
  expect(link.uncarried === null).toBe(link.way === 'direct');
  expect(Date.now() - (await complete).lastByteAt).toBeLessThan(10_000);
  expect(bytesSent).toBe(Object.values(IMAGES).reduce((sum, size) => sum + size));
  expect(Math.abs(link.clockOffsetMs)).toBeLessThan(1000);
  const sent = await contentOf(pair.outbox);
  expect(await contentOf(join(pair.inbox, 'final'))).toEqual(sent);
  expect(await contentOf(pair.bundle)).toEqual(sent);
}
