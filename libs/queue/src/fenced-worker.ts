/**
 * A BullMQ worker whose jobs are worked on by one process at a time.
 *
 * INVARIANTS
 * - A job is handled only while its lock is ours, and Redis was asked so after it was taken; `Ownership` gives it up before the lock can
 *   expire.
 * - Within this process, a second start of a job waits for the end of the first.
 * - Stalls never fail a job: who gives up is decided by the saga, not by BullMQ.
 * - A job that was not finished goes back to its queue; it is never marked failed.
 * - `close` ends within its grace, what it spares, and a few seconds, whether Redis answers or not; without those seconds where Redis is
 *   gone: it could take nothing back.
 */
import { PREFIX, type MigrationId } from '@cmt/contracts';
import { DelayedError, Job, WaitingError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { pause, within } from './bounded.ts';
import { LOOK_MS, LostFetches } from './lost-fetches.ts';
import { Fenced, LOCK_TIMING, Ownership, Postponed, ShuttingDown, type LockTiming } from './ownership.ts';
import { traced } from './traces.ts';
import { removeUnreadable } from './unreadable.ts';

export interface FencedWorkerOptions {
  readonly queueName: string;
  /** Of role `worker`. */
  readonly redis: Redis;
  /** Shown by Bull Board as the one who worked on a job. */
  readonly name: string;
  readonly concurrency: number;
  readonly logger: Logger;
  readonly timing?: LockTiming;
  /** The migration that a job is about, on every line of the log about that job. */
  readonly migrationOf?: (jobId: string) => MigrationId;
}

/** Returns the job's result; a rejection gives the job back to the queue. */
export type Handle<C = true> = (
  job: Job<unknown>,
  ownership: Ownership,
  token: string,
  claimed: C,
) => Promise<unknown>;

/** A lock that is held, the milliseconds that it lives from the asking on, and what was seen in the same step. */
export interface Claimed<C> {
  readonly livesMs: number;
  readonly seen: C;
}

/** Makes sure of the lock of a job that was just taken, and may look at more in the same step; null when the lock is lost. */
export type Claim<C> = (jobId: string, token: string, lockMs: number) => Promise<Claimed<C> | null>;

/** Jobs that a shutdown had better let come to their end. */
export interface Spared {
  /** Asked again and again: a job may come to be spared, and cease to be. */
  readonly isSpared: (jobId: string) => boolean;
  /** Milliseconds, counted from the end of the grace. */
  readonly ms: number;
}

interface Taken {
  readonly job: Job<unknown>;
  readonly token: string;
  readonly ownership: Ownership;
}

interface Run {
  readonly ownership: Ownership;
  readonly ended: Promise<void>;
}

/** Milliseconds: between tries while Redis is away, for handing a job back, for each part of closing. */
const RETRY_MS = 1_000;
const HAND_BACK_MS = 2_000;
const CLOSE_MS = 2_000;
/** Between looks at what is spared. */
const SPARED_LOOK_MS = 100;
/** For ever: see the invariants. */
const STALLS = 1_000_000;

const NONE_SPARED: Spared = { isSpared: () => false, ms: 0 };

export class FencedWorker<C = true> {
  readonly #worker: Worker<unknown>;
  readonly #running = new Map<string, Run>();
  readonly #options: FencedWorkerOptions;
  readonly #handle: Handle<C>;
  readonly #claim: Claim<C> | undefined;
  readonly #timing: LockTiming;
  readonly #lostFetches: LostFetches;
  readonly #look: NodeJS.Timeout;
  readonly #onConnectionLost = (): void => this.#lostFetches.suspect();
  #looking = false;
  #closing: Promise<void> | undefined;

  /** @param claim where none is given, `claimed` is true */
  constructor(options: FencedWorkerOptions, handle: Handle<C>, claim?: Claim<C>) {
    this.#options = options;
    this.#handle = handle;
    this.#claim = claim;
    this.#timing = options.timing ?? LOCK_TIMING;
    this.#worker = new Worker<unknown>(options.queueName, (job, token) => this.#process(job, token ?? ''), {
      connection: options.redis,
      prefix: PREFIX,
      name: options.name,
      concurrency: options.concurrency,
      lockDuration: this.#timing.lockMs,
      stalledInterval: this.#timing.stalledCheckMs,
      maxStalledCount: STALLS,
      // Ownership renews: BullMQ's own renewal tells nobody when it hangs.
      skipLockRenewal: true,
      runRetryDelay: RETRY_MS,
      removeOnComplete: { age: 7 * 24 * 3600, count: 10_000 },
      ...traced(),
    });
    const { redis, queueName } = options;
    const isRunning = (id: string) => this.#running.has(id);
    this.#lostFetches = new LostFetches({ redis, queueName, workerId: this.#worker.id, isRunning });
    this.#look = setInterval(() => void this.#giveBackLost(), LOOK_MS);
    redis.on('close', this.#onConnectionLost);
    this.#worker.on('error', (error) => this.#onError(error));
    this.#worker.on('stalled', (id) => options.logger.warn(this.#about(id), 'a job lost its worker'));
  }

  /** Calls back after a job's result is in Redis. */
  onCompleted(listener: (jobId: string) => void): void {
    this.#worker.on('completed', (job) => listener(job.id ?? ''));
  }

  /** The right to work on a running job, or undefined. */
  ownershipOf(jobId: string): Ownership | undefined {
    return this.#running.get(jobId)?.ownership;
  }

  running(): string[] {
    return [...this.#running.keys()];
  }

  /** Takes no more jobs, waits `graceMs` for those under way, then aborts them and gives them back; the spared ones later. */
  close(graceMs: number, spared: Spared = NONE_SPARED): Promise<void> {
    this.#closing ??= this.#close(graceMs, spared);
    return this.#closing;
  }

  async #process(job: Job<unknown>, token: string): Promise<unknown> {
    const id = job.id ?? '';
    const { lockMs } = this.#timing;
    const renew = async () => ((await job.extendLock(token, lockMs)) === 1 ? lockMs : 0);
    const renewed = async () => ((await renew()) > 0 ? { livesMs: lockMs, seen: true as C } : null);
    const claim = () => this.#claim?.(id, token, lockMs) ?? renewed();
    let claimed: Claimed<C> | null = null;
    const ownership = await Ownership.claim(renew, this.#timing, async () => {
      claimed = await claim();
      return claimed?.livesMs ?? 0;
    });
    const before = this.#running.get(id)?.ended;
    const result = this.#work({ job, token, ownership }, before?.then(claim) ?? Promise.resolve(claimed));
    const ended = result.then(
      () => undefined,
      () => undefined,
    );
    this.#running.set(id, { ownership, ended });
    try {
      return await result;
    } catch (error) {
      return await this.#handBack(job, token, error);
    } finally {
      ownership.end();
      if (this.#running.get(id)?.ended === ended) this.#running.delete(id);
    }
  }

  async #work({ job, token, ownership }: Taken, claim: Promise<Claimed<C> | null>): Promise<unknown> {
    const claimed = await claim;
    ownership.assertOwned();
    if (claimed === null) throw new Error('Redis has not answered to its claim');
    return await this.#handle(job, ownership, token, claimed.seen);
  }

  /** Back to the queue, for whoever wants it in a while. */
  async #postpone(job: Job<unknown>, token: string, error: Postponed): Promise<never> {
    await within(job.moveToDelayed(Date.now() + error.ms, token), this.#patience(HAND_BACK_MS), () => {
      throw error;
    });
    throw new DelayedError();
  }

  /** Ours still: back to the queue. Not ours any more: BullMQ refuses the token, and the next owner goes on. */
  async #handBack(job: Job<unknown>, token: string, error: unknown): Promise<never> {
    if (error instanceof Postponed) return await this.#postpone(job, token, error);
    if (!(error instanceof ShuttingDown)) {
      const level = error instanceof Fenced ? 'warn' : 'error';
      this.#options.logger[level]({ err: error, ...this.#about(job.id) }, 'a job goes back to its queue');
      throw error;
    }
    await within(job.moveToWait(token), this.#patience(HAND_BACK_MS), () => {
      throw error;
    });
    throw new WaitingError();
  }

  /** One look at a time: while Redis is away it waits, and its successor with it. */
  async #giveBackLost(): Promise<void> {
    if (this.#looking || !this.#lostFetches.isDue()) return;
    this.#looking = true;
    try {
      for (const { jobId, token } of await this.#lostFetches.look()) {
        const job = await Job.fromId<unknown>(this.#worker, jobId);
        this.#options.logger.warn(
          this.#about(jobId),
          'a job was fetched by a connection that died; it goes back',
        );
        await job?.moveToWait(token);
      }
    } catch (error) {
      this.#options.logger.debug({ err: error }, 'lost jobs could not be looked for');
    } finally {
      this.#looking = false;
    }
  }

  /** Milliseconds that an answer of Redis is worth waiting for. */
  #patience(ms: number): number {
    return this.#options.redis.status === 'ready' ? ms : 0;
  }

  #about(jobId = ''): { readonly job: string; readonly migration?: MigrationId } {
    const { migrationOf } = this.#options;
    return { job: jobId, ...(migrationOf ? { migration: migrationOf(jobId) } : {}) };
  }

  #onError(error: Error): void {
    this.#options.logger.debug({ err: error }, 'BullMQ reports an error');
    if (!(error instanceof SyntaxError)) return;
    const { queueName, redis, logger } = this.#options;
    removeUnreadable(redis, queueName, logger).catch((cause: unknown) =>
      logger.warn({ err: cause }, 'a broken job could not be removed'),
    );
  }

  /** BullMQ's own connection would keep the process alive while Redis is away. */
  #cutOff(): void {
    this.#worker
      .getBackend()
      .blockingClient?.then((client) => client.disconnect())
      .catch(() => undefined);
  }

  /** Aborts what is not spared, until nothing is or its time is over. */
  async #abortUnlessSpared({ isSpared, ms }: Spared): Promise<void> {
    const deadline = performance.now() + ms;
    for (;;) {
      const left = [...this.#running].filter(([id]) => performance.now() < deadline && isSpared(id));
      const spared = new Set(left.map(([id]) => id));
      for (const [id, { ownership }] of this.#running)
        if (!spared.has(id)) ownership.abort(new ShuttingDown());
      if (spared.size === 0) return;
      await pause(SPARED_LOOK_MS, new AbortController().signal);
    }
  }

  async #close(graceMs: number, spared: Spared): Promise<void> {
    clearInterval(this.#look);
    this.#options.redis.off('close', this.#onConnectionLost);
    const closed = this.#worker.close().catch(() => undefined);
    const allEnded = () => Promise.all([...this.#running.values()].map(({ ended }) => ended));
    await within(allEnded(), graceMs, () => undefined);
    await this.#abortUnlessSpared(spared);
    await within(allEnded(), CLOSE_MS, () => undefined);
    await within(closed, this.#patience(HAND_BACK_MS + CLOSE_MS), () => this.#cutOff());
    for (const { ownership } of this.#running.values()) ownership.end();
  }
}
