/**
 * One who takes part in a queue, for the tests of libs/queue, with requests and reports to go through it. Loads nothing
 * but the queue: it is started again and again in processes of its own.
 */
import type { HostRecord, Leg, LegResult, MigrationReport, MigrationRequest } from '@cmt/contracts';
import { MigrationRequest as Request } from '@cmt/contracts';
import {
  consumeLegs,
  consumeMigrations,
  loadKeyPair,
  openConnection,
  parseRedisUrl,
  trustIn,
  type Consumer,
  type LegConsumer,
  type KeyPair,
  type LegDraft,
  type LegRunner,
  type LockTiming,
  type MigrationHandler,
  type RedisAddress,
  type RedisConnection,
  type Trust,
} from '@cmt/queue';
import { join } from 'node:path';
import { pino, type Logger } from 'pino';

/** A fifth of the product's: for tests that are not about the figures themselves. */
export const QUICK: LockTiming = { lockMs: 2000, fenceMs: 1500, renewMs: 400, stalledCheckMs: 1000 };
export const LIMITS = { pickUpMs: 20_000, limitMs: 60_000 };

/** What takes part in a queue. */
export interface QueueParty {
  readonly address: RedisAddress;
  readonly keys: KeyPair;
  readonly trust: Trust;
  readonly logger: Logger;
  /** Closed with the world. */
  connection(role?: 'worker' | 'producer', address?: RedisAddress): RedisConnection;
  coordinator(handler: MigrationHandler, more?: WorldOptions): Consumer;
  worker(host: string, run: LegRunner, more?: WorldOptions): LegConsumer;
  close(): Promise<void>;
}

interface WorldOptions {
  readonly timing?: LockTiming;
  readonly address?: RedisAddress;
  /** Its ledgers; two with the same name share a disk. */
  readonly name?: string;
  /** Whom it trusts beside itself, where that is not this party alone. */
  readonly trust?: Trust;
}

/** Takes part in the queue of a Redis that somebody has started; keys and ledgers are in `dir`. */
export async function joinQueueWorld(url: string, dir: string): Promise<QueueParty> {
  const logger = pino({ level: process.env.CMT_TEST_LOG ?? 'silent' });
  const address = parseRedisUrl(url);
  const keys = await loadKeyPair(dir);
  const trust = trustIn(keys, undefined, logger);
  const open: RedisConnection[] = [];
  const consumers: Consumer[] = [];
  const connection: QueueParty['connection'] = (role = 'worker', at = address) => {
    const made = openConnection(at, role, logger);
    open.push(made);
    return made;
  };
  const common = (name: string, more: WorldOptions) => ({
    ...{ redis: connection('worker', more.address), trust: more.trust ?? trust, logger, concurrency: 8 },
    ...{ ledgerDir: join(dir, 'ledger', more.name ?? name), timing: more.timing ?? QUICK },
  });
  const kept = <T extends Consumer>(consumer: T): T => {
    consumers.push(consumer);
    return consumer;
  };
  return {
    ...{ address, keys, trust, logger, connection },
    coordinator: (handler, more = {}) => {
      const name = more.name ?? `coordinator-${process.pid}`;
      return kept(consumeMigrations({ ...common(name, more), keys, name }, handler));
    },
    worker: (host, run, more = {}) => kept(consumeLegs({ ...common(host, more), host }, run)),
    close: async () => {
      await Promise.all(consumers.map((consumer) => consumer.close(0)));
      for (const made of open) made.disconnect();
    },
  };
}

export const requestOf = (id: string, more: Partial<MigrationRequest> = {}): MigrationRequest =>
  Request.parse({
    ...{ v: 1, id, container: 'web', source: 'alpha', target: 'beta', options: {}, requestedAt: Date.now() },
    ...more,
  });

export const reportOf = (
  request: MigrationRequest,
  state: MigrationReport['state'],
  step: string | null = null,
): MigrationReport => ({
  ...{ v: 1, id: request.id, container: 'web', from: request.source, to: request.target, state, step },
  ...{ decision: null, epoch: 1, rounds: 0, roundsNote: null, blackoutMs: null, blackout: null, totalMs: 0 },
  ...{ steps: [], findings: [], hooks: [], failure: null, message: null, remedy: null, request },
});

export const draftOf = (host: string, task = 'inspect.1.1', more: Partial<Leg> = {}): LegDraft => ({
  ...{ host, task, epoch: 1, try: 1 },
  calls: [{ step: 'inspect', input: { runtime: 'runc', tcp: 'refuse' }, timeoutMs: 30_000 }],
  ...more,
});

export const resultOf = (leg: Leg, output: Record<string, unknown> = {}): LegResult => ({
  v: 1,
  results: leg.calls.map(({ step }) => ({ ok: true, step, output, ms: 1 })),
});

export const hostRecordOf = (name: string): HostRecord => ({
  v: 1,
  facts: {
    ...{ name, kernel: '6.1', arch: 'x86_64', criu: '4.2', runtimes: { runc: '1.3' }, criuProblem: null },
    ...{ features: { dirtyTracking: false, lazyPages: true }, cpus: 2 },
    ...{ memoryTotal: 1, memoryAvailable: 1, imagesFree: 1 },
  },
  endpoint: {
    ...{ address: '127.0.0.1', sshPort: 22, sshUser: 'root', sshHostKeys: [], publicKey: '' },
    ...{ receiveSocket: '/run/cmt/receive.sock', receivePort: 7070 },
  },
  ...{ containers: [], labels: {}, cmtVersion: '0.1.0', startedAt: 1, seenAt: 1 },
});

/** A promise that somebody else keeps. */
export function promised<T = void>(): { promise: Promise<T>; keep: (value: T) => void } {
  let keep: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => (keep = resolve));
  return { promise, keep };
}

/** The signal's reason, once it has aborted. */
export const aborted = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    else signal.addEventListener('abort', () => resolve(signal.reason), { once: true });
  });
