/** A leg as a BullMQ job: its id, how it is added below its migration, what its job says about it. */
import {
  hostQueue,
  keys,
  LegResult,
  MAX_JOB_BYTES,
  PREFIX,
  type HostName,
  type Leg,
  type MigrationId,
  type Sealed,
} from '@cmt/contracts';
import type { JobsOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { obeying, pause } from './bounded.ts';
import type { Claimed } from './fenced-worker.ts';
import { jsonText } from './json-text.ts';
import { openQueue } from './open-queue.ts';
import { runScript } from './script.ts';
import { traced } from './traces.ts';

/** Unique on its host: `<migration>_<task>`. A migration's id has no `_`, and BullMQ wants no `:`. */
export const legId = ({ migration, task }: Pick<Leg, 'migration' | 'task'>): string => `${migration}_${task}`;

/** Where the job of a leg is. */
export const legKey = ({ host, ...leg }: Pick<Leg, 'host' | 'migration' | 'task'>): string =>
  `${PREFIX}:${hostQueue(host)}:${legId(leg)}`;

/** What the job of a leg holds. `lease` is unsigned: lying about it only gets a leg refused. */
export const LegJob = z.object({ sealed: z.unknown(), lease: z.number() });

export interface LegOrder {
  readonly leg: Leg;
  readonly sealed: Sealed;
  readonly lease: number;
  /** The migration's job, above which Bull Board shows the leg; a question has none. */
  readonly parent?: { readonly id: string; readonly queue: string };
}

const legOptions: JobsOptions = {
  // A leg that fails returns a result; what is thrown is a lost lock or a shutdown, and the leg is begun again.
  attempts: 1_000_000,
  backoff: { type: 'fixed', delay: 1000 },
  ignoreDependencyOnFailure: true,
  sizeLimit: 2 * MAX_JOB_BYTES,
  removeOnComplete: { age: 24 * 3600, count: 10_000 },
  removeOnFail: { age: 24 * 3600, count: 10_000 },
};

/** Adds a leg to its host's queue. One that is there already, in whatever state, is left as it is. */
export async function addLeg(queue: Queue, { leg, sealed, lease, parent }: LegOrder): Promise<void> {
  const name = leg.calls.map(({ step }) => step).join('+');
  await queue.add(
    name,
    { sealed, lease },
    { ...legOptions, jobId: legId(leg), ...(parent ? { parent } : {}) },
  );
}

/** A host's queue as the coordinator uses it, on a shared connection. */
export const openHostQueue = (redis: Redis, host: HostName): Queue =>
  openQueue(redis, hostQueue(host), traced());

export interface LegStatus {
  readonly phase: 'waiting' | 'active' | 'completed' | 'failed';
  /** How often a worker has begun it. */
  readonly starts: number;
  /** A worker holds its lock. */
  readonly locked: boolean;
  /** Once completed; null when it is not readable. */
  readonly result: LegResult | null;
  readonly failedReason: string | null;
}

const Returned = jsonText(LegResult);

/** How a leg stands, or null when there is no such job. */
export async function legStatus(redis: Redis, host: HostName, id: string): Promise<LegStatus | null> {
  const key = `${PREFIX}:${hostQueue(host)}:${id}`;
  const fields = await redis.hmget(key, 'timestamp', 'returnvalue', 'failedReason', 'finishedOn', 'ats');
  const [added, returnvalue, failedReason, finishedOn, ats] = fields;
  if (added == null) return null;
  const finished = finishedOn != null;
  const locked = !finished && (await redis.exists(`${key}:lock`)) === 1;
  return {
    phase: phaseOf({ finished, returned: returnvalue != null, begun: Number(ats ?? 0) > 0 }),
    starts: Number(ats ?? 0),
    locked,
    result: finished && returnvalue != null ? (Returned.safeParse(returnvalue).data ?? null) : null,
    failedReason: failedReason ?? null,
  };
}

/** A leg that stalled and waits again counts as active: a worker has begun it, and it may have had effects. */
function phaseOf(job: { finished: boolean; returned: boolean; begun: boolean }): LegStatus['phase'] {
  if (job.finished) return job.returned ? 'completed' : 'failed';
  return job.begun ? 'active' : 'waiting';
}

/** Milliseconds: how long a new owner may take to say that it wants its predecessor's leg, and between looks. */
const ADOPT_MS = 5_000;
const ADOPT_LOOK_MS = 200;

/** What is known of a leg in the moment in which it is claimed. */
export interface LegClaim {
  /** Of the present owner of its migration, and of the last owner that adopted the leg. */
  readonly current: string | null;
  readonly adopted: string | null;
  /** Why somebody wants it stopped, or null. */
  readonly stop: string | null;
}

/**
 * A lock that has only just been taken is not renewed: Redis waits for its disk with every write. Keys of others stand in ARGV: a host's user
 * may read and not write them, and Redis takes every one of KEYS for both.
 */
const CLAIM = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
local lives = redis.call('PTTL', KEYS[1])
if lives < tonumber(ARGV[6]) then
  lives = tonumber(ARGV[2])
  redis.call('PEXPIRE', KEYS[1], lives)
  redis.call('SREM', KEYS[2], ARGV[3])
end
return { lives, redis.call('HGET', ARGV[4], 'lease'), redis.call('HGET', KEYS[3], 'adopted'), redis.call('GET', ARGV[5]) }
`;

/** Share of its life that a lock must have left, or it is renewed. */
const NEW_ENOUGH = 0.9;

/**
 * Makes sure of the lock of a leg that was just taken, and renews it, as BullMQ's extendLock does, unless it is new; looks at the leg in the
 * same step. Null when the lock is lost.
 */
export async function claimLeg(
  redis: Redis,
  host: HostName,
  { id, token, lockMs }: { readonly id: string; readonly token: string; readonly lockMs: number },
): Promise<Claimed<LegClaim> | null> {
  const base = `${PREFIX}:${hostQueue(host)}`;
  const answer = await runScript(
    redis,
    CLAIM,
    [`${base}:${id}:lock`, `${base}:stalled`, `${base}:${id}`],
    [token, lockMs, id, keys.saga(migrationOfLeg(id)), keys.stop(host, id), lockMs * NEW_ENOUGH],
  );
  if (answer === null) return null;
  const [livesMs, current = null, adopted = null, stop = null] = answer as [number, ...(string | null)[]];
  return { livesMs, seen: { current, adopted, stop } };
}

/** The migration of a leg, by the id of its job. */
export const migrationOfLeg = (id: string): MigrationId => id.split('_')[0] ?? '';

/** Whether the present owner of the leg's migration asked for it, or has adopted it. */
export const isWanted = (
  { current, adopted }: Pick<LegClaim, 'current' | 'adopted'>,
  lease: number,
): boolean => current === null || [lease, Number(adopted)].includes(Number(current));

/** The same, of one whose owner has just changed: the new one gets a while to say that it wants it. */
export async function becomesWanted(
  redis: Redis,
  leg: Leg,
  lease: number,
  signal: AbortSignal,
): Promise<boolean> {
  const key = legKey(leg);
  const deadline = performance.now() + ADOPT_MS;
  while (performance.now() < deadline) {
    await pause(ADOPT_LOOK_MS, signal);
    const [current, adopted] = await obeying(
      Promise.all([redis.hget(keys.saga(leg.migration), 'lease'), redis.hget(key, 'adopted')]),
      signal,
    );
    if (isWanted({ current, adopted }, lease)) return true;
  }
  return false;
}

/** Why somebody wants this leg stopped, or null. */
export const stopReason = (redis: Redis, host: HostName, id: string): Promise<string | null> =>
  redis.get(keys.stop(host, id));
