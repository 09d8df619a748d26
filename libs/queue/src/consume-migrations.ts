/**
 * The coordinator's side of the queue: hands each migration to a handler, in one process at a time, until it has ended.
 *
 * INVARIANTS
 * - The handler is active as long as its migration: it awaits its legs, and does not park in `waiting-children`.
 * - A migration is done when its handler returns. When it throws, the migration goes back to the queue and is handed
 *   out again, here or elsewhere.
 * - A request that does not open is never handed out; it ends as refused.
 * - An order to recover needs no signature: its handler may only turn back, or finish what a host's journal says (recovery.ts).
 * - An operator's word is obeyed once, by the migration that waited for it; one that is refused changes nothing.
 */
import {
  CmtError,
  isEnd,
  keys,
  messageOf,
  MIGRATIONS_QUEUE,
  type FleetOrder,
  type MigrationRequest,
  remedyOf,
  type Failure,
  type MigrationId,
} from '@cmt/contracts';
import type { Job, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { obeying, within } from './bounded.ts';
import { Bus } from './bus.ts';
import { Dispatcher } from './dispatch.ts';
import { FencedWorker } from './fenced-worker.ts';
import type { KeyPair } from './key-pair.ts';
import { Lease } from './lease.ts';
import { Ledger } from './ledger.ts';
import { cutChildrenLoose, openMigrationsQueue, pendingLegs } from './migration-job.ts';
import { migrationOf } from './migration-key.ts';
import type { LockTiming, Ownership } from './ownership.ts';
import { Reconciler } from './reconcile.ts';
import { EndedNote, openMigration, orderNote, type Opened, type Origin } from './open-migration.ts';
import { givePlacesBack } from './places.ts';
import { claimLease, endUnreadable, hasState, readSaga, saveSaga, statusOf } from './store.ts';
import { span } from './traces.ts';
import type { Trust } from './trust.ts';

export interface CoordinatorOptions {
  /** Of role `worker`. Closed by the caller, after `close`. */
  readonly redis: Redis;
  readonly concurrency: number;
  /** Whose requests are obeyed. */
  readonly trust: Trust;
  /** Signs the legs, and words to workers. */
  readonly keys: KeyPair;
  /** Names this coordinator in events, errors and Bull Board. */
  readonly name: string;
  readonly logger: Logger;
  /** Directory of its own below the state directory: what has ended here. */
  readonly ledgerDir: string;
  readonly timing?: LockTiming;
  /**
   * Told what has changed, here or elsewhere; may be missed. `flows`: migrations have begun or stopped sending bytes, or links have got
   * other limits; `schedules`: one was removed.
   */
  readonly onNews?: (news: 'flows' | 'schedules') => void;
  /** Whether a migration is part of a signed order about a host; without it none is. */
  readonly isUnderOrder?: (request: MigrationRequest, order: FleetOrder) => boolean;
}

export type MigrationHandler = (request: MigrationRequest, lease: Lease, origin: Origin) => Promise<void>;

export interface Consumer {
  /**
   * Takes no more, gives those under way `graceMs`, then hands them back; those in which a container stands still are given
   * a minute more. Ends whether Redis answers or not.
   */
  close(graceMs: number): Promise<void>;
}

/** Milliseconds: a coordinator's sign of life, and how long it lasts. */
const ALIVE_MS = 4_000;
const ALIVE_FOR_MS = 12_000;
const GOOD_BYE_MS = 1_000;
/** For migrations in which a container stands still. */
const SPARED_MS = 60_000;

/** Takes migrations from the queue until it is closed. */
export function consumeMigrations(options: CoordinatorOptions, handler: MigrationHandler): Consumer {
  const coordinator = new Coordinator(options, handler);
  return { close: (graceMs) => coordinator.close(graceMs) };
}

class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #handler: MigrationHandler;
  readonly #bus: Bus;
  readonly #dispatcher: Dispatcher;
  readonly #worker: FencedWorker;
  readonly #reconciler: Reconciler;
  readonly #ended: Ledger<EndedNote>;
  readonly #queue: Queue;
  readonly #leases = new Map<string, Lease>();
  readonly #heart: NodeJS.Timeout;

  constructor(options: CoordinatorOptions, handler: MigrationHandler) {
    const { redis, logger } = options;
    this.#options = options;
    this.#handler = handler;
    this.#ended = new Ledger(options.ledgerDir, EndedNote);
    this.#queue = openMigrationsQueue(redis);
    this.#bus = new Bus(redis, ['control', 'wake'], logger);
    this.#dispatcher = new Dispatcher(redis, this.#bus, options.keys);
    this.#worker = new FencedWorker(
      { ...options, queueName: MIGRATIONS_QUEUE, migrationOf },
      (job, ownership, token) => this.#run(job, ownership, token),
    );
    this.#reconciler = new Reconciler(redis, logger);
    this.#bus.onControl((control) => {
      if (control.kind === 'cancel') lookForCancel(this.#leases.get(control.migration));
      if (control.kind === 'tune') this.#lookForTuning(this.#leases.get(control.migration));
      if (control.kind === 'flows' || control.kind === 'schedules') options.onNews?.(control.kind);
    });
    this.#heart = setInterval(() => this.#beat(), ALIVE_MS);
    this.#beat();
  }

  async close(graceMs: number): Promise<void> {
    clearInterval(this.#heart);
    this.#reconciler.close();
    const isSpared = (jobId: string) => this.#leases.get(migrationOf(jobId))?.standsStill === true;
    await this.#worker.close(graceMs, { isSpared, ms: SPARED_MS });
    await this.#ended.close();
    this.#bus.close();
    await within(
      this.#goodBye().catch(() => undefined),
      GOOD_BYE_MS,
      () => undefined,
    );
  }

  async #run(job: Job<unknown>, ownership: Ownership, token: string): Promise<{ refused?: Failure }> {
    const opened = await this.#open(job);
    if (opened instanceof CmtError) return await this.#refuse(job, token, opened);
    const { id } = opened.request;
    try {
      if (opened.isOver !== true) await this.#bringToItsEnd(opened, ownership, token);
    } catch (error) {
      if (opened.order === null || !(error instanceof CmtError)) throw error;
      return { refused: error.failure };
    }
    await obeying(this.#letGoOfLegs(id, token), ownership.signal);
    await obeying(givePlacesBack(this.#options.redis, this.#queue, id), ownership.signal);
    return {};
  }

  async #bringToItsEnd(opened: Opened, ownership: Ownership, token: string): Promise<void> {
    const { request, order } = opened;
    if (order !== null) await this.#ended.record(request.id, { endedAt: Date.now(), reopened: true });
    await this.#hold(opened, ownership, token);
    await this.#assertEnded(request.id, ownership);
    if (order !== null) await this.#ended.record(orderNote(order), { endedAt: Date.now() });
    await this.#ended.record(request.id, { endedAt: Date.now() });
  }

  /** What is to be done, or why it is not. */
  async #open(job: Job<unknown>): Promise<Opened | CmtError> {
    const { redis, trust, name, isUnderOrder = () => false } = this.#options;
    const opener = { trust, host: name };
    try {
      return await openMigration({ redis, opener, ended: this.#ended, isUnderOrder }, job);
    } catch (error) {
      if (error instanceof CmtError) return error;
      throw error;
    }
  }

  async #hold({ request, order, origin }: Opened, ownership: Ownership, token: string): Promise<void> {
    const { redis, name, trust, keys: own } = this.#options;
    const takenOver = await obeying(claimLease(redis, token, request.id), ownership.signal);
    const dispatcher = this.#dispatcher;
    const lease = new Lease({
      migration: request.id,
      takenOver,
      token,
      ownership,
      redis,
      queue: this.#queue,
      dispatcher,
      host: name,
      opener: { trust, host: name },
      keys: own,
      order,
    });
    this.#leases.set(request.id, lease);
    try {
      await obeying(lease.lookForCancel(), ownership.signal);
      const facts = { 'cmt.migration': request.id, 'cmt.from': request.source, 'cmt.to': request.target };
      await span('drive the migration', { ...facts, 'cmt.lease': takenOver.number }, () =>
        this.#handler(request, lease, origin),
      );
      lease.assertOwned();
    } finally {
      this.#leases.delete(request.id);
    }
  }

  async #assertEnded(id: MigrationId, { signal }: Ownership): Promise<void> {
    const status = await obeying(statusOf(this.#options.redis, id), signal);
    if (status === null || !isEnd(status)) throw new Error(`${id} was left before it had ended`);
  }

  /** Its state is left alone; who asked sees why nothing more happens. */
  async #refuse(job: Job<unknown>, token: string, error: CmtError): Promise<{ refused: Failure }> {
    const { redis, name, logger } = this.#options;
    const { failure } = error;
    const id = migrationOf(job.id ?? '');
    logger.warn({ job: job.id, migration: id, err: error }, 'a request is refused');
    if (job.name === 'resolve') return { refused: failure };
    const status = await statusOf(redis, id);
    if (status !== null && isEnd(status)) return { refused: failure };
    const state = (await hasState(redis, id)) ? 'needs-operator' : 'refused';
    const told = { failure, message: messageOf(failure), remedy: remedyOf(failure), state } as const;
    const saga = await readSaga(redis, id);
    if (saga === null) await endUnreadable(redis, token, id, told, name);
    else await saveSaga(redis, token, saga.state, { ...saga.report, ...told }, name);
    return { refused: failure };
  }

  async #letGoOfLegs(id: MigrationId, token: string): Promise<void> {
    const { redis } = this.#options;
    const pending = await pendingLegs(redis, id, token);
    if (pending.length === 0) return;
    for (const [host, leg] of pending) await this.#dispatcher.withdraw(host, leg);
    await cutChildrenLoose(redis, id, token);
  }

  async #goodBye(): Promise<void> {
    const { redis, name } = this.#options;
    if (redis.status !== 'ready') return;
    if ((await redis.get(keys.coordinator)) === name) await redis.del(keys.coordinator);
  }

  #beat(): void {
    const { redis, name } = this.#options;
    void redis.set(keys.coordinator, name, 'PX', ALIVE_FOR_MS).catch(() => undefined);
    for (const lease of this.#leases.values()) {
      lookForCancel(lease);
      this.#lookForTuning(lease);
    }
  }

  #lookForTuning(lease: Lease | undefined): void {
    const refuse = (error: CmtError) =>
      this.#options.logger.warn({ err: error, migration: lease?.migration }, 'a tuning is refused');
    void lease?.lookForTuning(refuse).catch(() => undefined);
  }
}

/** A message may be lost, so this is asked now and then as well. */
function lookForCancel(lease: Lease | undefined): void {
  void lease?.lookForCancel().catch(() => undefined);
}
