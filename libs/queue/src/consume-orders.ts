/**
 * The coordinator's side of orders: what is due is begun, what is asked is answered.
 *
 * INVARIANTS
 * - Nothing is done for an order that was not signed by somebody trusted: a key that is trusted no more ends its schedules.
 * - A schedule is carried out at the times that were signed, never at others: one that comes at another time changes nothing.
 * - A time is one run: its id is made of it, so a second try of any coordinator joins the first.
 * - A run begins within the grace of its time, or counts as missed.
 * - One that was removed is never carried out again, whoever puts it back.
 */
import {
  CmtError,
  DoctorOrder,
  ORDERS_QUEUE,
  runId,
  RunScheduleOrder,
  Schedule,
  type DoctorAnswer,
  type Failure,
  type MigrationId,
  type ScheduledWork,
  type ScheduleRun,
} from '@cmt/contracts';
import type { Job, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { z } from 'zod';
import { answerDoctor } from './doctor.ts';
import { FencedWorker } from './fenced-worker.ts';
import { ORDER_FRESH_MS, staleness } from './freshness.ts';
import type { KeyPair } from './key-pair.ts';
import { Ledger } from './ledger.ts';
import { openOrdersQueue, orderJobId } from './order-job.ts';
import type { LockTiming, Ownership } from './ownership.ts';
import { isDueAt, timesBetween } from './schedule-time.ts';
import { RemovedSchedules } from './removed-schedules.ts';
import { noteRun, runsOf, storedScheduler } from './schedules.ts';
import { openSealed } from './seal.ts';
import type { Trust } from './trust.ts';

export interface OrdersOptions {
  /** Of role `worker`. Closed by the caller, after `close`. */
  readonly redis: Redis;
  readonly trust: Trust;
  /** Signs questions to hosts. */
  readonly keys: KeyPair;
  /** Names this coordinator. */
  readonly name: string;
  readonly logger: Logger;
  /** Directory of its own below the state directory: orders that were obeyed here. */
  readonly ledgerDir: string;
  /** Another one: schedules that are over. */
  readonly removedDir: string;
  readonly timing?: LockTiming;
}

/** Who carries a schedule's work out. */
export interface WorkStarter {
  /** Begins it under that name; begun before, it is joined. @throws {CmtError} when it is refused */
  start(work: ScheduledWork, id: MigrationId): Promise<void>;
  /** Whether what was begun under that name has not ended. */
  isUnderWay(work: ScheduledWork, id: MigrationId): Promise<boolean>;
}

/** What an order came to: stored as its job's result. */
type Answer =
  { readonly run: ScheduleRun } | { readonly answer: DoctorAnswer } | { readonly refused: Failure };

const Obeyed = z.object({ endedAt: z.number() });

/** Orders at the same time. Each only begins something. */
const CONCURRENCY = 8;
/** A scheduler's job may be handed out this much before its time, by clocks that disagree. Milliseconds. */
const EARLY_MS = 2_000;
/** Between looks for schedules that were removed. */
const REMOVED_LOOK_MS = 4_000;

/** Takes orders from the queue until it is closed. */
export function consumeOrders(options: OrdersOptions, starter: WorkStarter): OrdersConsumer {
  return new Orders(options, starter);
}

export interface OrdersConsumer {
  /** Writes down which schedules were removed. It is done now and then anyway: being told only hurries. */
  noteRemovals(): Promise<void>;
  close(graceMs: number): Promise<void>;
}

class Orders {
  readonly #options: OrdersOptions;
  readonly #starter: WorkStarter;
  readonly #queue: Queue;
  readonly #obeyed: Ledger<z.infer<typeof Obeyed>>;
  readonly #worker: FencedWorker;
  readonly #removed: RemovedSchedules;
  readonly #removedLook: NodeJS.Timeout;

  constructor(options: OrdersOptions, starter: WorkStarter) {
    this.#options = options;
    this.#starter = starter;
    this.#queue = openOrdersQueue(options.redis);
    this.#obeyed = new Ledger(options.ledgerDir, Obeyed);
    const { redis, trust, name, logger, removedDir: dir } = options;
    this.#removed = new RemovedSchedules({ redis, opener: { trust, host: name }, logger, dir });
    this.#removedLook = setInterval(() => void this.noteRemovals(), REMOVED_LOOK_MS);
    void this.noteRemovals();
    this.#worker = new FencedWorker(
      { ...options, queueName: ORDERS_QUEUE, concurrency: CONCURRENCY },
      (job, ownership) => this.#answer(job, ownership),
    );
  }

  async noteRemovals(): Promise<void> {
    await this.#removed
      .look()
      .catch((error: unknown) => this.#options.logger.debug({ err: error }, 'removals could not be read'));
  }

  async close(graceMs: number): Promise<void> {
    clearInterval(this.#removedLook);
    await this.#worker.close(graceMs);
    await this.#obeyed.close();
  }

  async #answer(job: Job<unknown>, ownership: Ownership): Promise<Answer> {
    try {
      if (job.repeatJobKey !== undefined) return { run: await this.#fire(job) };
      const order = await this.#open(job.data, z.discriminatedUnion('kind', [RunScheduleOrder, DoctorOrder]));
      await this.#refuseReplay(job, order);
      if (order.kind === 'run-schedule') return { run: await this.#runNow(order, ownership) };
      const { redis, keys } = this.#options;
      return { answer: await answerDoctor(redis, order, keys, ownership.signal) };
    } catch (error) {
      if (!(error instanceof CmtError)) throw error;
      this.#options.logger.warn({ job: job.id, err: error }, 'an order is refused');
      return { refused: error.failure };
    }
  }

  #open<T>(sealed: unknown, schema: z.ZodType<T>): Promise<T> {
    const { trust, name } = this.#options;
    return openSealed(ORDERS_QUEUE, sealed, schema, { trust, host: name });
  }

  /** @throws {CmtError} REQUEST_FORGED also for one that was removed */
  async #openSchedule(sealed: unknown): Promise<Schedule> {
    const schedule = await this.#open(sealed, Schedule);
    const { name, issuedAt } = schedule;
    if (!(await this.#removed.has(name, issuedAt))) return schedule;
    throw this.#forged(`schedule ${name} of ${new Date(issuedAt).toISOString()} was removed`);
  }

  /** One time of a schedule has come. Whatever becomes of it is noted. */
  async #fire(job: Job<unknown>): Promise<ScheduleRun> {
    const name = job.repeatJobKey ?? '';
    const dueAt = job.opts.prevMillis ?? 0;
    try {
      const schedule = await this.#openSchedule(job.data);
      if (schedule.name !== name || !isDueAt(schedule, dueAt) || dueAt > Date.now() + EARLY_MS)
        throw this.#forged(`schedule ${schedule.name} is not due at ${new Date(dueAt).toISOString()}`);
      return await this.#begin(schedule, dueAt);
    } catch (error) {
      if (!(error instanceof CmtError)) throw error;
      await this.#note(name, { ...runAt(dueAt), outcome: 'refused', failure: error.failure });
      throw error;
    }
  }

  async #begin(schedule: Schedule, dueAt: number): Promise<ScheduleRun> {
    const [before] = await runsOf(this.#options.redis, schedule.name);
    const isLate = Date.now() - dueAt > schedule.graceMs;
    const since = before === undefined ? schedule.issuedAt : seenUntil(before);
    // The coordinator that noted it died before it could say so.
    if (before !== undefined && before.dueAt === dueAt && before.outcome !== 'refused') return before;
    if (!isLate) return this.#start(schedule, dueAt, Math.max(0, timesBetween(schedule, since, dueAt) - 1));
    const missed = timesBetween(schedule, since, Date.now());
    return this.#note(schedule.name, { ...runAt(dueAt), outcome: 'missed', missed });
  }

  async #start(schedule: Schedule, at: number, missed: number): Promise<ScheduleRun> {
    const { name, work } = schedule;
    const id = runId(name, at);
    const runs = await runsOf(this.#options.redis, name);
    const last = runs.find(({ outcome }) => outcome === 'started')?.id ?? null;
    if (last !== null && last !== id && (await this.#starter.isUnderWay(work, last)))
      return this.#note(name, { ...runAt(at), outcome: 'skipped', missed, id: last });
    await this.#starter.start(work, id);
    const about = work.kind === 'migrate' ? { migration: id } : { order: id };
    this.#options.logger.info({ schedule: name, ...about }, 'a scheduled run has begun');
    return this.#note(name, { ...runAt(at), outcome: 'started', missed, id });
  }

  /** @throws {CmtError} REQUEST_FORGED for a copy, or an order that is old or was obeyed before */
  async #refuseReplay(job: Job<unknown>, order: RunScheduleOrder | DoctorOrder): Promise<void> {
    const id = idOf(order);
    if (job.id !== id) throw this.#forged(`it is a copy of ${id}`);
    const stale = staleness(order.issuedAt, ORDER_FRESH_MS, Date.now());
    if (stale !== null) throw this.#forged(stale);
    if ((await this.#obeyed.find(id)) !== null) throw this.#forged('this order was obeyed before');
  }

  /** @throws {CmtError} SCHEDULE_UNKNOWN, SCHEDULE_UNREADABLE, REQUEST_FORGED, and whatever speaks against the work itself */
  async #runNow(order: RunScheduleOrder, ownership: Ownership): Promise<ScheduleRun> {
    const stored = await storedScheduler(this.#queue, order.name);
    if (stored === null) throw new CmtError('SCHEDULE_UNKNOWN', { name: order.name });
    const schedule = await this.#openSchedule(stored.template?.data);
    if (schedule.name !== order.name) throw this.#forged(`it is signed as schedule ${schedule.name}`);
    ownership.assertOwned();
    const run = await this.#start(schedule, order.issuedAt, 0);
    await this.#obeyed.record(idOf(order), { endedAt: Date.now() });
    return run;
  }

  async #note(name: string, run: ScheduleRun): Promise<ScheduleRun> {
    await noteRun(this.#options.redis, name, run);
    return run;
  }

  #forged(problem: string): CmtError {
    return new CmtError('REQUEST_FORGED', { queue: ORDERS_QUEUE, host: this.#options.name, problem });
  }
}

const idOf = ({ kind, nonce }: RunScheduleOrder | DoctorOrder): string => orderJobId({ kind, nonce });

/** Times up to then are accounted for: BullMQ goes on with the first that comes after what it hands out. */
const seenUntil = ({ dueAt, seenAt, outcome }: ScheduleRun): number =>
  outcome === 'missed' ? seenAt : dueAt;

const runAt = (dueAt: number): ScheduleRun => ({
  ...{ dueAt, seenAt: Date.now(), outcome: 'started', missed: 0, id: null, failure: null },
});
