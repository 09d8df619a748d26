/**
 * A whole host in this process: real journal, real steps, real receiver and links over loopback TCP, real rsync; a paper runtime and
 * a network that only remembers. `restarted()` is the same host with a worker that has just started.
 */
import type { ContainerNetwork, Decision, Resolution, Route, WorkerConfig } from '@cmt/contracts';
import { createServer } from 'node:net';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Decisions, StepContext, Told } from '../../libs/host/src/context.ts';
import { loadIdentity } from '../../libs/host/src/identity.ts';
import { openJournal, type FileJournal } from '../../libs/host/src/journal-file.ts';
import type { Network } from '../../libs/host/src/network/network.ts';
import { journalDir, spillRoot } from '../../libs/host/src/places.ts';
import type { Machine } from '../../libs/host/src/machine.ts';
import { thisMachine } from '../../libs/host/src/this-machine.ts';
import { hostEndpoint } from '../../libs/host/src/transports/endpoint.ts';
import { createLinks } from '../../libs/host/src/transports/links.ts';
import { createReceiver } from '../../libs/host/src/transports/receiver-server.ts';
import { PaperRuntime } from './paper-runtime.ts';

/** The record that both hosts ask; `away` while Redis does not answer. */
export class PaperDecisions implements Decisions {
  readonly made = new Map<string, Decision>();
  /** What operators have said, by migration. */
  readonly words = new Map<string, Resolution>();
  away = false;
  #asked: (() => void)[] = [];

  /** Resolves when somebody has asked in vain. */
  askedInVain(): Promise<void> {
    return new Promise((resolve) => this.#asked.push(resolve));
  }

  read(migration: string, epoch: number): Promise<Decision | null> {
    this.#answer();
    return Promise.resolve(this.made.get(`${migration} ${epoch}`) ?? null);
  }

  resolution(migration: string): Promise<Resolution | null> {
    this.#answer();
    return Promise.resolve(this.words.get(migration) ?? null);
  }

  settle(migration: string, epoch: number, vote: Decision): Promise<Decision> {
    this.#answer();
    const key = `${migration} ${epoch}`;
    this.made.set(key, this.made.get(key) ?? vote);
    return Promise.resolve(this.made.get(key) ?? vote);
  }

  #answer(): void {
    if (!this.away) return;
    this.#asked.splice(0).forEach((tell) => tell());
    throw new Error('Redis does not answer');
  }
}

/** What was done to each container network, and how it stands now. */
export class PaperNetwork implements Network {
  readonly state = new Set<'fenced' | 'built' | 'attached'>();
  addressesTaken: string[] = [];

  describe(): Promise<ContainerNetwork> {
    return Promise.resolve({ kind: 'none' });
  }
  fence = async (_network?: ContainerNetwork, _signal?: AbortSignal, freeze?: () => Promise<void>) => {
    await freeze?.();
    await this.put('fenced');
  };
  unfence = () => this.drop('fenced');
  build = (network: ContainerNetwork) => (network.kind === 'bridge' ? this.put('built') : Promise.resolve());
  attach = async (_network?: ContainerNetwork, _signal?: AbortSignal, ready?: Promise<unknown>) => {
    await ready;
    await this.put('attached');
  };
  remove = (network: ContainerNetwork) =>
    network.kind === 'bridge' ? this.drop('fenced', 'built', 'attached') : Promise.resolve();
  conflicts = () => Promise.resolve({ addressesTaken: this.addressesTaken, missingBridges: [] });

  private put(what: 'fenced' | 'built' | 'attached'): Promise<void> {
    this.state.add(what);
    return Promise.resolve();
  }
  private drop(...what: ('fenced' | 'built' | 'attached')[]): Promise<void> {
    what.forEach((each) => this.state.delete(each));
    return Promise.resolve();
  }
}

export interface PaperHost {
  readonly name: string;
  readonly root: string;
  readonly journal: FileJournal;
  readonly runtime: PaperRuntime;
  readonly network: PaperNetwork;
  readonly told: Told[];
  readonly parts: Omit<StepContext, 'migration' | 'epoch' | 'signal'> & { readonly journal: FileJournal };
  context(epoch?: number, signal?: AbortSignal): StepContext;
  route(): Route;
  /** Names of what lies where images go. */
  images(): Promise<string[]>;
  /** From now on so many bytes of memory are left for images. */
  crowd(left: number): void;
  /** The worker ends without a word, and another one starts on what is there. */
  restarted(): Promise<PaperHost>;
  close(): Promise<void>;
}

export const MIGRATION = 'm1';

export async function openPaperHost(name: string, decisions: PaperDecisions): Promise<PaperHost> {
  const root = await mkdtemp(join(tmpdir(), `cmt-${name}-`));
  await mkdir(join(root, 'etc'));
  return await startWorker({ name, root, decisions, network: new PaperNetwork() });
}

interface Place {
  readonly name: string;
  readonly root: string;
  readonly decisions: PaperDecisions;
  readonly network: PaperNetwork;
}

async function startWorker(place: Place): Promise<PaperHost> {
  const { name, root, decisions, network } = place;
  const config = configOf(name, root, await freePort());
  const identity = await loadIdentity(config.stateDir);
  const journal = await openJournal({ directory: journalDir(config), host: name });
  const endpoint = await hostEndpoint(config, identity, join(root, 'etc'));
  const { address, receivePort: port } = config;
  const receiver = createReceiver({ host: name, identity, socket: endpoint.receiveSocket, address, port });
  await receiver.listen();
  const links = createLinks({ host: name, identity });
  const runtime = new PaperRuntime(join(root, 'containers'), name);
  const told: Told[] = [];
  const runtimes = { get: () => runtime, all: () => [runtime] };
  const tell = (what: Told) => void told.push(what);
  const crowd = { left: Infinity };
  const host = {
    config,
    endpoint,
    machine: crowded(config, crowd),
    journal,
    runtimes,
    network,
    links,
    receiver,
  };
  const parts = { ...host, decisions, tell };
  const closeWorker = async () => {
    await links.closeAll();
    await receiver.close();
  };
  return {
    ...{ name, root, journal, runtime, network, told, parts },
    context: (epoch = 1, signal = new AbortController().signal) => ({
      ...parts,
      migration: MIGRATION,
      epoch,
      signal,
    }),
    route: () => ({ transport: 'tcp', peer: name, endpoint }),
    images: async () => (await Promise.all([config.imagesDir, spillRoot(config)].map(namesIn))).flat(),
    crowd: (left) => void (crowd.left = left),
    restarted: async () => {
      await closeWorker();
      return await startWorker(place);
    },
    close: async () => {
      await closeWorker();
      runtime.endRestores();
      for (const { id } of await runtime.list()) await runtime.destroy(id);
      await rm(root, { recursive: true, force: true });
    },
  };
}

const namesIn = (directory: string): Promise<string[]> => readdir(directory).catch(() => []);

/** This machine, with so many bytes of memory left for images. */
const crowded = ({ imagesDir }: WorkerConfig, crowd: { left: number }): Machine => ({
  ...thisMachine,
  files: {
    ...thisMachine.files,
    room: async (path) =>
      path.startsWith(imagesDir) && crowd.left < Infinity
        ? { free: crowd.left, inMemory: true }
        : await thisMachine.files.room(path),
  },
});

const configOf = (name: string, root: string, receivePort: number): WorkerConfig => ({
  logLevel: 'silent',
  stateDir: join(root, 'state'),
  healthPort: 0,
  hooks: [],
  name,
  address: '127.0.0.1',
  sshPort: 22,
  sshUser: 'root',
  receivePort,
  imagesDir: join(root, 'images'),
  labels: {},
  concurrency: 8,
});

/** A bundle with a few files. */
export async function writeBundle(path: string): Promise<void> {
  await mkdir(join(path, 'rootfs', 'data'), { recursive: true });
  await writeFile(join(path, 'config.json'), '{}');
  await writeFile(join(path, 'rootfs', 'data', 'file'), 'before');
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}
