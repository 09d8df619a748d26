/**
 * Runs a leg on its host and waits for its result.
 *
 * INVARIANTS
 * - A leg is looked up before it is added: a coordinator that takes over finds what its predecessor asked for. The look may have come
 *   with the storing of the state that asks for the leg (lease.ts).
 * - An id that has failed is never added again (BullMQ would leave its parent waiting for ever).
 * - Losing the migration stops the waiting, never the leg: the next coordinator joins it.
 * - Before anything is written Redis is asked whether the migration is still ours: a process that stood still for longer than
 *   its lock finds that out before its own clock has told it.
 */
import {
  CmtError,
  hostQueue,
  keys,
  MIGRATIONS_QUEUE,
  PREFIX,
  type HostName,
  type Leg,
  type LegResult,
} from '@cmt/contracts';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { obeying, pause } from './bounded.ts';
import { sendControl, type Bus } from './bus.ts';
import type { KeyPair } from './key-pair.ts';
import { LegWatch, type DispatchLimits } from './leg-watch.ts';
import { addLeg, legId, legKey, legStatus, openHostQueue, type LegStatus } from './leg-job.ts';
import { migrationJobId } from './migration-key.ts';
import { Fenced } from './ownership.ts';
import { runScript } from './script.ts';
import { seal } from './seal.ts';

/** Whose leg it is, and when waiting for it ends. */
export interface Claim {
  readonly lease: number;
  /** Aborts when the migration is no longer ours. */
  readonly owned: AbortSignal;
  /** Somebody does not want the leg any more. A CmtError as its reason stops the leg itself, anything else only the waiting. */
  readonly stop: AbortSignal;
}

/** Milliseconds between looks at a leg while nobody says that it has ended. */
const LOOK_MS = 1_000;
/** Queues of hosts that are kept open: enough for what a coordinator works on at a time, and not one for each host of a large fleet. */
const QUEUES_KEPT = 256;
/** Seconds that a request to stop is kept. */
const STOP_KEPT_S = 3600;

/** What the present owner of a migration wants is not refused as a late order of the one before; nor does that one take it back. */
const ADOPT = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if tonumber(redis.call('HGET', KEYS[1], 'adopted') or '0') > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'adopted', ARGV[1])
return 1
`;

const LOOK_BEFORE = `return { redis.call('HGET', KEYS[1], 'lease'), redis.call('EXISTS', KEYS[2]) }`;

/** Why a wait for a leg is over: made once, for a reason of its own would cost an error each time. */
const ENDED = new Error('the leg has ended');

/** @throws {Fenced} */
function refuseOther(current: string | null, lease: number): void {
  if (current !== null && Number(current) !== lease)
    throw new Fenced('another coordinator has taken the migration over');
}

export class Dispatcher {
  readonly #redis: Redis;
  readonly #bus: Bus;
  readonly #keys: KeyPair;
  readonly #queues = new Map<HostName, Queue>();

  constructor(redis: Redis, bus: Bus, signingKeys: KeyPair) {
    this.#redis = redis;
    this.#bus = bus;
    this.#keys = signingKeys;
  }

  /**
   * The result of the leg, whoever asked for it first.
   * @param seen whether it was asked for already, by a look of just now that found the migration to be ours; null when there was none
   * @throws {CmtError} HOST_UNREACHABLE when it did not end in time: whether it ran is unknown; INTERNAL when its job broke
   */
  async dispatch(
    leg: Leg,
    claim: Claim,
    limits: DispatchLimits,
    seen: boolean | null = null,
  ): Promise<LegResult> {
    const { owned } = claim;
    const isThere = seen ?? (await obeying(this.#lookBefore(leg, claim.lease), owned));
    if (isThere) await obeying(this.#adopt(leg, claim.lease), owned);
    return await this.#result(leg, claim, limits, !isThere);
  }

  /** Takes a leg that no worker has begun out of its queue. @returns false when one has */
  async withdraw(host: HostName, id: string): Promise<boolean> {
    const status = await legStatus(this.#redis, host, id);
    if (status?.phase !== 'waiting') return status === null;
    return (await this.#queue(host).remove(id)) === 1;
  }

  /** @throws {Fenced} when another coordinator has taken the migration over */
  async #assertCurrent({ migration }: Leg, lease: number): Promise<void> {
    refuseOther(await this.#redis.hget(keys.saga(migration), 'lease'), lease);
  }

  /** Whether the leg was asked for already. @throws {Fenced} */
  async #lookBefore(leg: Leg, lease: number): Promise<boolean> {
    const answer = await runScript(this.#redis, LOOK_BEFORE, [keys.saga(leg.migration), legKey(leg)], []);
    const [current, isThere] = answer as [string | null, number];
    refuseOther(current, lease);
    return isThere === 1;
  }

  async #add(leg: Leg, lease: number): Promise<void> {
    await addLeg(this.#queue(leg.host), {
      leg,
      lease,
      sealed: seal(hostQueue(leg.host), leg, this.#keys),
      parent: { id: migrationJobId(leg.migration), queue: `${PREFIX}:${MIGRATIONS_QUEUE}` },
    });
  }

  async #adopt(leg: Leg, lease: number): Promise<void> {
    await runScript(this.#redis, ADOPT, [legKey(leg)], [lease]);
  }

  /** @param isNew it is to be added, once its end would be heard */
  async #result(leg: Leg, claim: Claim, limits: DispatchLimits, isNew: boolean): Promise<LegResult> {
    const { owned, stop } = claim;
    const watch = new LegWatch(limits, performance.now());
    let ended = new AbortController();
    const unsubscribe = this.#bus.onWake(leg.host, legId(leg), () => ended.abort(ENDED));
    let stopped = false;
    try {
      if (isNew) {
        await obeying(this.#add(leg, claim.lease), owned);
        // There is nothing to see yet: the look at it comes with its end, with a wish to stop, or when its time is over.
        await pause(LOOK_MS, ended.signal, owned, stop);
      }
      for (;;) {
        // Before the look, so that an end between look and pause is not missed.
        ended = new AbortController();
        const status = await obeying(legStatus(this.#redis, leg.host, legId(leg)), owned);
        if (status === null) throw internal(leg, 'its job has vanished');
        const result = resultOf(leg, status);
        if (result !== null) return result;
        if (stop.aborted && !stopped) {
          await obeying(this.#assertCurrent(leg, claim.lease), owned);
          const withdrawn = await obeying(this.#stop(leg, stop.reason), owned);
          if (withdrawn !== null) return withdrawn;
          stopped = true;
        }
        if (watch.isLost(status, performance.now())) {
          await obeying(this.#assertCurrent(leg, claim.lease), owned);
          await obeying(this.#giveUp(leg), owned);
        }
        await pause(LOOK_MS, ended.signal, owned, ...(stopped ? [] : [stop]));
      }
    } finally {
      unsubscribe();
    }
  }

  /** Withdraws a leg, or asks its worker to stop it. @returns its result when it was withdrawn */
  async #stop(leg: Leg, reason: unknown): Promise<LegResult | null> {
    if (!(reason instanceof CmtError)) throw reason;
    const id = legId(leg);
    const why = String(reason.failure.details.reason ?? reason.message);
    if (await this.withdraw(leg.host, id)) return cancelled(leg, why);
    await this.#redis.set(keys.stop(leg.host, id), why, 'EX', STOP_KEPT_S);
    await sendControl(this.#redis, { kind: 'stop', host: leg.host, leg: id, reason: why });
    return null;
  }

  /** Nobody answers. What can be kept from running later is. */
  async #giveUp(leg: Leg): Promise<never> {
    const gone = new CmtError('CANCELLED', { reason: 'nobody waits for it any more' });
    await this.#stop(leg, gone);
    await this.#queue(leg.host).remove(legId(leg));
    throw new CmtError('HOST_UNREACHABLE', { host: leg.host });
  }

  #queue(host: HostName): Queue {
    const queue = this.#queues.get(host) ?? openHostQueue(this.#redis, host);
    // A map keeps its order: what was used last stands last.
    this.#queues.delete(host);
    this.#queues.set(host, queue);
    const [oldest] = this.#queues.keys();
    if (this.#queues.size > QUEUES_KEPT && oldest !== undefined) this.#queues.delete(oldest);
    return queue;
  }
}

/** The result of a leg that has ended, or null. */
function resultOf(leg: Leg, { phase, result, failedReason }: LegStatus): LegResult | null {
  if (phase === 'completed' && result !== null) return result;
  if (phase === 'completed') throw internal(leg, 'its result is not readable');
  if (phase === 'failed') throw internal(leg, failedReason ?? 'its job failed');
  return null;
}

const internal = (leg: Leg, reason: string): CmtError =>
  new CmtError('INTERNAL', { host: leg.host, step: leg.task, reason });

function cancelled(leg: Leg, reason: string): LegResult {
  const step = leg.calls[0]?.step ?? 'inspect';
  return { v: 1, results: [{ ok: false, step, failure: { code: 'CANCELLED', details: { reason } }, ms: 0 }] };
}
