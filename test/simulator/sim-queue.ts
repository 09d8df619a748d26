/** The queue of the simulated world on its Redis: locks that expire, legs, the decision, cancels. What scripts do in Redis is one call. */
import {
  LOCK_MS,
  STALLED_CHECK_MS,
  type Decision,
  type Leg,
  type LegResult,
  type MigrationRequest,
  type Resolution,
  type Side,
} from '@cmt/contracts';
import type { Saga } from '@cmt/saga';
import type { Decisions } from '../../libs/host/src/context.ts';
import type { SimProcess } from './sim-process.ts';
import type { SimRedis } from './sim-redis.ts';

interface Lock {
  readonly token: string;
  readonly until: number;
}

export interface MigrationJob {
  readonly request: MigrationRequest;
  /** Whether somebody asked for it, or the hosts' journals tell of it. */
  readonly origin: 'asked' | 'journals';
  readonly state: Saga | null;
  readonly lease: number;
  readonly lock: Lock | null;
  readonly isDone: boolean;
  /** Side of which an operator has said that it is fenced, until a coordinator has obeyed. */
  readonly word: Side | null;
}

export interface LegJob {
  readonly leg: Leg;
  readonly lease: number;
  readonly adopted: number;
  readonly phase: 'waiting' | 'active' | 'completed';
  readonly lock: Lock | null;
  readonly result: LegResult | null;
}

export const migrationKey = (id: string): string => `migration:${id}`;
export const legKey = (host: string, id: string): string => `leg:${host}:${id}`;
export const cancelKey = (id: string): string => `cancel:${id}`;
const resolutionKey = (id: string): string => `resolution:${id}`;
const stopKey = (host: string, leg: string): string => `stop:${host}:${leg}`;
const decisionKey = (migration: string, epoch: number): string => `decision:${migration}:${epoch}`;

export class SimQueue {
  readonly #redis: SimRedis;
  readonly #who: SimProcess;

  constructor(redis: SimRedis, who: SimProcess) {
    this.#redis = redis;
    this.#who = who;
  }

  decisions(): Decisions {
    const { world } = this.#who;
    return {
      resolution: (migration) =>
        this.#call('resolution', () => this.#redis.get<Resolution>(resolutionKey(migration))),
      read: (migration, epoch) =>
        this.#call('decision read', () => this.#redis.get<Decision>(decisionKey(migration, epoch))),
      settle: (migration, epoch, vote) => {
        if (vote === 'COMMIT') world.votesSent.add(`${migration} ${epoch}`);
        return this.#call('decision settle', () => {
          const key = decisionKey(migration, epoch);
          const first = world.rules.firstVoteWins ? this.#redis.get<Decision>(key) : null;
          if (first === null) this.#redis.set(key, vote);
          world.promises.decided(migration, epoch, first ?? vote);
          return first ?? vote;
        });
      },
    };
  }

  /** An operator's word about a migration, or that there is none any more. */
  resolve = (id: string, resolution: Resolution | null): Promise<void> =>
    this.#call('resolve', () => {
      this.#redis.set(resolutionKey(id), resolution);
      this.#who.world.promises.fenced(id, resolution?.fenced ?? null);
    });

  continuityMark = (): Promise<string | null> => this.#call('mark', () => this.#redis.continuityMark);

  /** A migration that nobody works on, locked for this process. */
  takeMigration(): Promise<{ id: string; token: string } | null> {
    return this.#call('take migration', () => {
      for (const key of this.#redis.keysFrom('migration:')) {
        const job = this.#redis.get<MigrationJob>(key);
        if (job === null || job.isDone || this.#isLocked(job.lock)) continue;
        const lock = this.#newLock();
        this.#redis.set(key, { ...job, lock, lease: job.lease + 1 });
        return { id: job.request.id, token: lock.token };
      }
      return null;
    });
  }

  migration = (id: string): Promise<MigrationJob | null> =>
    this.#call('migration', () => this.#redis.get<MigrationJob>(migrationKey(id)));

  /** @returns false when another one holds the lock */
  saveMigration = (id: string, token: string, change: Partial<MigrationJob>): Promise<boolean> =>
    this.#call('save', () => this.#change(migrationKey(id), token, change));

  extendMigration = (id: string, token: string): Promise<boolean> =>
    this.#call('extend', () => this.#change(migrationKey(id), token, { lock: this.#newLock(token) }));

  takeLeg(host: string): Promise<{ id: string; token: string } | null> {
    return this.#call('take leg', () => {
      for (const key of this.#redis.keysFrom(`leg:${host}:`)) {
        const job = this.#redis.get<LegJob>(key);
        if (job === null || job.phase === 'completed' || this.#isLocked(job.lock)) continue;
        const lock = this.#newLock();
        this.#redis.set(key, { ...job, lock, phase: 'active' });
        return { id: key.slice(`leg:${host}:`.length), token: lock.token };
      }
      return null;
    });
  }

  leg = (host: string, id: string): Promise<LegJob | null> =>
    this.#call('leg', () => this.#redis.get<LegJob>(legKey(host, id)));

  /** Adds a leg, or adopts the one that is there. */
  addLeg(leg: Leg, id: string, lease: number): Promise<void> {
    return this.#call('add leg', () => {
      const key = legKey(leg.host, id);
      const there = this.#redis.get<LegJob>(key);
      const fresh: LegJob = { leg, lease, adopted: 0, phase: 'waiting', lock: null, result: null };
      this.#redis.set(key, there === null ? fresh : { ...there, adopted: lease });
      if (there === null) this.#who.world.wake(leg.host);
    });
  }

  extendLeg = (host: string, id: string, token: string): Promise<boolean> =>
    this.#call('extend', () => this.#change(legKey(host, id), token, { lock: this.#newLock(token) }));

  giveLegBack = (host: string, id: string, token: string): Promise<boolean> =>
    this.#call('give back', () => this.#change(legKey(host, id), token, { lock: null }));

  /** Tells the result; tried again while Redis is away and the right lasts. */
  async completeLeg(
    host: string,
    id: string,
    token: string,
    result: LegResult,
    owned: AbortSignal,
  ): Promise<void> {
    for (;;) {
      try {
        await this.#call('complete', () =>
          this.#change(legKey(host, id), token, { phase: 'completed', lock: null, result }),
        );
        this.#who.world.wakeCoordinators();
        return;
      } catch (error) {
        if (owned.aborted) throw error;
        await this.#who.clock.wait(200);
      }
    }
  }

  /** Takes a leg that nobody has begun out of the queue. */
  withdraw(host: string, id: string): Promise<boolean> {
    return this.#call('withdraw', () => {
      const job = this.#redis.get<LegJob>(legKey(host, id));
      if (job?.phase !== 'waiting') return job === null;
      this.#redis.set(legKey(host, id), null);
      return true;
    });
  }

  askStop(host: string, id: string, reason: string): Promise<void> {
    return this.#call('stop', () => {
      this.#redis.set(stopKey(host, id), reason);
      const { world } = this.#who;
      world.time.after(world.latency(), () => world.tellStop(host, id, reason));
    });
  }

  stopReason = (host: string, id: string): Promise<string | null> =>
    this.#call('stop reason', () => this.#redis.get<string>(stopKey(host, id)));

  isWanted = (host: string, id: string, { leg, lease }: LegJob): Promise<boolean> =>
    this.#call('wanted', () => {
      const current = this.#redis.get<MigrationJob>(migrationKey(leg.migration))?.lease ?? null;
      const adopted = this.#redis.get<LegJob>(legKey(host, id))?.adopted ?? 0;
      return current === null || [lease, adopted].includes(current);
    });

  cancelReason = (id: string): Promise<string | null> =>
    this.#call('cancel reason', () => this.#redis.get<string>(cancelKey(id)));

  #call<T>(label: string, act: () => T): Promise<T> {
    return this.#redis.call(this.#who, label, act);
  }

  #change(key: string, token: string, change: object): boolean {
    const job = this.#redis.get<{ lock: Lock | null }>(key);
    if (job === null) return false;
    if (job.lock?.token !== token && this.#who.world.rules.checksTokens) return false;
    this.#redis.set(key, { ...job, ...change });
    return true;
  }

  /** An expired lock is noticed at the next check for stalled jobs. */
  #isLocked(lock: Lock | null): boolean {
    return lock !== null && lock.until + STALLED_CHECK_MS / 2 > this.#who.world.time.now;
  }

  #newLock(token?: string): Lock {
    const { time, nextToken } = this.#who.world;
    return { token: token ?? nextToken(), until: time.now + LOCK_MS };
  }
}
