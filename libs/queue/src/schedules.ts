/**
 * A client's side of schedules: each is a BullMQ job scheduler whose template holds the signed schedule.
 *
 * INVARIANTS
 * - What is signed is the whole schedule: whoever can write to Redis can neither make one nor change what it does or when.
 * - A name means one schedule: another one takes its place only where that is asked for.
 * - One that was removed or replaced is over (removed-schedules.ts); a new one is dated after it.
 */
import {
  CmtError,
  Failure,
  keys,
  ORDERS_QUEUE,
  PREFIX,
  Schedule,
  ScheduleRun,
  Sealed,
  type RunScheduleOrder,
  type ScheduleName,
} from '@cmt/contracts';
import type { JobSchedulerJson, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { reaching } from './connection.ts';
import { jsonText, problemOf, UNTOLD } from './json-text.ts';
import type { KeyPair } from './key-pair.ts';
import { declareOver, overUpTo } from './removed-schedules.ts';
import { awaitOrder, openOrdersQueue, orderOptions } from './order-job.ts';
import { checkTimes, timesBetween } from './schedule-time.ts';
import { seal } from './seal.ts';

/** A schedule as it stands. */
export interface KnownSchedule {
  readonly schedule: Schedule;
  /** Milliseconds since 1970; in the past when no coordinator was there to see it. */
  readonly nextAt: number;
  /** Times that have passed since `nextAt` without a coordinator, that one included. */
  readonly overdue: number;
  /** Newest first. */
  readonly runs: readonly ScheduleRun[];
}

/** Runs that are remembered of each schedule. */
const RUNS_KEPT = 20;

/**
 * Makes a schedule.
 * @returns false when there is the very same one already
 * @throws {CmtError} SCHEDULE_INVALID, SCHEDULE_EXISTS and SCHEDULE_UNREADABLE unless `replace`, REDIS_UNREACHABLE
 */
export async function addSchedule(
  redis: Redis,
  schedule: Schedule,
  signingKeys: KeyPair,
  replace: boolean,
): Promise<boolean> {
  checkTimes(schedule, Date.now());
  const { name, pattern, timeZone: tz } = schedule;
  return onQueue(redis, async (queue) => {
    const over = await overUpTo(redis, name);
    const looked = readSchedule(queue, name);
    const found = await (replace ? looked.catch(orDamaged) : looked);
    const isDamaged = found === DAMAGED;
    const known = found !== null && !isDamaged && found.schedule.issuedAt > over ? found.schedule : null;
    // What seems to be the same may be one that was removed and put back: who wants it replaced gets a new one.
    if (known !== null && !replace && isSame(known, schedule)) return false;
    if (known !== null && !replace)
      throw new CmtError('SCHEDULE_EXISTS', { name, words: known.words.join(' '), pattern: known.pattern });
    const issuedAt = Math.max(schedule.issuedAt, over + 1, (known?.issuedAt ?? 0) + 1);
    const data = seal(ORDERS_QUEUE, { ...schedule, issuedAt }, signingKeys);
    await queue.upsertJobScheduler(name, { pattern, tz }, { name: 'fire', data, opts: orderOptions });
    // What it was before it was damaged could be put back as well.
    const replaced = isDamaged ? issuedAt - 1 : known?.issuedAt;
    if (replaced !== undefined) await declareOver(redis, name, replaced, signingKeys);
    return true;
  });
}

/** All schedules, the next that is due first. @param unreadable told of each that is left out */
export async function schedules(redis: Redis, unreadable = UNTOLD): Promise<KnownSchedule[]> {
  return onQueue(redis, async (queue) => {
    // By name: BullMQ reads all of them or, where one is damaged, none.
    const names = await redis.zrange(`${PREFIX}:${ORDERS_QUEUE}:repeat`, 0, -1);
    const known = names.map((name) =>
      knownOf(redis, queue, name).catch((error: unknown) => {
        unreadable(name, problemIn(error));
        return null;
      }),
    );
    return (await Promise.all(known)).filter((each) => each !== null);
  });
}

/** Removes a schedule for good: whoever puts it back into Redis has it refused. @throws {CmtError} SCHEDULE_UNKNOWN */
export async function removeSchedule(redis: Redis, name: ScheduleName, signingKeys: KeyPair): Promise<void> {
  await onQueue(redis, async (queue) => {
    const found = await readSchedule(queue, name).catch(orDamaged);
    if (found === null) throw new CmtError('SCHEDULE_UNKNOWN', { name });
    // By a clock before that of whoever made it, it would not be over.
    const upTo = Math.max(Date.now(), found === DAMAGED ? 0 : found.schedule.issuedAt);
    await declareOver(redis, name, upTo, signingKeys);
    await queue.removeJobScheduler(name);
  });
  await reaching(redis, redis.del(keys.scheduleRuns(name)));
}

const Ran = z.object({ run: ScheduleRun.optional(), refused: Failure.optional() });

/**
 * Asks for one run now, and waits until a coordinator has begun it.
 * @throws {CmtError} SCHEDULE_UNKNOWN, SCHEDULE_UNREADABLE, COORDINATOR_MISSING, and what the coordinator refused it with
 */
export async function runSchedule(
  redis: Redis,
  name: ScheduleName,
  signingKeys: KeyPair,
  signal: AbortSignal,
): Promise<ScheduleRun> {
  const nonce = randomBytes(16).toString('hex');
  const order: RunScheduleOrder = { v: 1, kind: 'run-schedule', name, nonce, issuedAt: Date.now() };
  const sealed = seal(ORDERS_QUEUE, order, signingKeys);
  return onQueue(redis, async (queue) => {
    if ((await readSchedule(queue, name)) === null) throw new CmtError('SCHEDULE_UNKNOWN', { name });
    const answer = Ran.parse(await awaitOrder(redis, queue, { kind: 'run-schedule', nonce, sealed }, signal));
    const failure = answer.refused ?? answer.run?.failure;
    if (answer.run === undefined || failure)
      throw new CmtError(failure?.code ?? 'SCHEDULE_UNKNOWN', failure?.details ?? { name });
    return answer.run;
  });
}

/** Writes down what became of one time. */
export async function noteRun(redis: Redis, name: ScheduleName, run: ScheduleRun): Promise<void> {
  const key = keys.scheduleRuns(name);
  await redis
    .pipeline()
    .lpush(key, JSON.stringify(run))
    .ltrim(key, 0, RUNS_KEPT - 1)
    .exec();
}

/** Newest first; what cannot be read is left out. */
export async function runsOf(redis: Redis, name: ScheduleName): Promise<ScheduleRun[]> {
  const texts = await reaching(redis, redis.lrange(keys.scheduleRuns(name), 0, -1));
  return texts.map((text) => Run.safeParse(text).data).filter((run) => run !== undefined);
}
const Run = jsonText(ScheduleRun);

async function knownOf(redis: Redis, queue: Queue, name: string): Promise<KnownSchedule | null> {
  const found = await readSchedule(queue, name);
  if (found === null) return null;
  const { schedule, nextAt } = found;
  const overdue = timesBetween(schedule, nextAt - 1000, Date.now() - schedule.graceMs);
  return { schedule, nextAt, overdue, runs: await runsOf(redis, schedule.name) };
}

/** A schedule as it is stored, for people to read: nobody has looked at its signature. @throws {CmtError} SCHEDULE_UNREADABLE */
async function readSchedule(
  queue: Queue,
  name: ScheduleName,
): Promise<{ readonly schedule: Schedule; readonly nextAt: number } | null> {
  const scheduler = await storedScheduler(queue, name);
  if (scheduler === null) return null;
  const parsed = Template.safeParse(scheduler.template?.data);
  if (!parsed.success) throw unreadableSchedule(name, problemOf(parsed.error));
  const schedule = parsed.data.body;
  try {
    checkTimes(schedule, Date.now());
  } catch (error) {
    throw unreadableSchedule(name, problemIn(error));
  }
  return { schedule, nextAt: scheduler.next ?? 0 };
}
const Template = z.object({ ...Sealed.shape, body: jsonText(Schedule) });

/** What the queue holds under that name. @throws {CmtError} SCHEDULE_UNREADABLE where BullMQ cannot parse it */
export async function storedScheduler(queue: Queue, name: ScheduleName): Promise<JobSchedulerJson | null> {
  try {
    return (await queue.getJobScheduler(name)) ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) throw unreadableSchedule(name, 'it is not JSON');
    throw error;
  }
}

const unreadableSchedule = (name: ScheduleName, problem: string): CmtError =>
  new CmtError('SCHEDULE_UNREADABLE', { name, problem });

/** What is wrong with a schedule. @throws {unknown} what is about something else */
function problemIn(error: unknown): string {
  const { code, details } = error instanceof CmtError ? error.failure : { code: null, details: {} };
  if (code !== 'SCHEDULE_UNREADABLE' && code !== 'SCHEDULE_INVALID') throw error;
  return String(details.problem);
}

const DAMAGED = Symbol('damaged');
function orDamaged(error: unknown): typeof DAMAGED {
  problemIn(error);
  return DAMAGED;
}

/** When it was asked for is no part of what was asked for. */
const isSame = (one: Schedule, other: Schedule): boolean => wish(one) === wish(other);
const wish = (schedule: Schedule): string =>
  JSON.stringify({ ...schedule, issuedAt: 0 }, (key, value: unknown) => (key === 'requestedAt' ? 0 : value));

const onQueue = <T>(redis: Redis, work: (queue: Queue) => Promise<T>): Promise<T> =>
  reaching(redis, work(openOrdersQueue(redis)));
