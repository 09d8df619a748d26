/** Configuration of every process: flags over `CMT_*` variables over the file, all checked here. */
import { z } from 'zod';
import { Labels, UNPLACED } from './fleet.ts';
import { AbsolutePath, HostName } from './names.ts';

const LogLevel = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']);

const Common = z.object({
  /** `redis://[:password@]host:port[/db]`, `rediss://…` or `unix:///path`. Without it the private embedded one. */
  redis: z.string().optional(),
  logLevel: LogLevel.default('info'),
  /** Where this process keeps what must outlive it: keys, journal, logs. */
  stateDir: AbsolutePath,
  /** Directory of `*.pub` files (Ed25519, PEM): whose jobs are obeyed. */
  trustedKeysDir: AbsolutePath.optional(),
  /** Port of the health endpoint on 127.0.0.1; 0 for none. */
  healthPort: z.coerce.number().int().min(0).max(65535).default(0),
  /** Programs a hook may run: absolute paths, or `any`. */
  hooks: z.union([z.literal('any'), z.array(AbsolutePath)]).default([]),
});

/** A worker that some client has started over ssh, and that ends by itself when nobody needs it any more. */
export const AgentlessConfig = z.object({
  /** Folder of sockets that lead to the client: `redis.sock` to its Redis, `relay.sock` to its other hosts; and back, `receive.sock`. */
  sockets: AbsolutePath,
  /** Whom that folder belongs to: the login of the client. */
  uid: z.int().min(0),
  gid: z.int().min(0),
  /** The worker's own folder, removed with the other when it ends. */
  home: AbsolutePath,
  /** Milliseconds without work, or without Redis, after which it ends; never while a hand-over is open. */
  idleMs: z.int().positive(),
  awayMs: z.int().positive(),
});
export type AgentlessConfig = z.infer<typeof AgentlessConfig>;

export const WorkerConfig = Common.extend({
  name: HostName.refine((name) => name !== UNPLACED, `no host may be called ${UNPLACED}`),
  /** Address under which other hosts reach this one. */
  address: z.string(),
  sshPort: z.coerce.number().int().min(1).max(65535).default(22),
  sshUser: z.string().default('root'),
  /** Private key for other hosts; without it ssh-agent. */
  sshKey: AbsolutePath.optional(),
  /** Further pins beside those of the registry. */
  knownHosts: AbsolutePath.optional(),
  /** Port for the bytes of images, which are encrypted, and for everything with `--transport tcp`. */
  receivePort: z.coerce.number().int().min(1).max(65535).default(7070),
  /** Where images of containers lie while they move: 0700, best on tmpfs. */
  imagesDir: AbsolutePath.default('/run/cmt/images'),
  labels: Labels.default({}),
  /** Legs at the same time. */
  concurrency: z.coerce.number().int().min(1).max(64).default(8),
  agentless: AgentlessConfig.optional(),
});
export type WorkerConfig = z.infer<typeof WorkerConfig>;

export const CoordinatorConfig = Common.extend({
  /** Migrations at the same time. */
  concurrency: z.coerce.number().int().min(1).max(1024).default(64),
});
export type CoordinatorConfig = z.infer<typeof CoordinatorConfig>;

/** The board takes part in nothing: no keys, no hooks, and its own page tells how it is. */
export const BoardConfig = Common.omit({ healthPort: true, trustedKeysDir: true, hooks: true }).extend({
  /** Where it listens. Plain HTTP: anything but loopback wants a proxy that speaks TLS before it. */
  boardAddress: z.string().default('127.0.0.1'),
  /** 0 for any free one. */
  boardPort: z.coerce.number().int().min(0).max(65535).default(7080),
  /** Whoever knows it may look. Without one, and without a file, it is made and kept in the state directory. */
  boardToken: z.string().optional(),
  boardTokenFile: AbsolutePath.optional(),
  /** `yes`: jobs can be retried, removed and queues paused from the pages of Bull Board. */
  boardWrites: z.enum(['no', 'yes']).default('no'),
});
export type BoardConfig = z.infer<typeof BoardConfig>;

export const ClientConfig = Common.omit({ healthPort: true });
export type ClientConfig = z.infer<typeof ClientConfig>;
