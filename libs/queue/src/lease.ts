/**
 * One coordinator's right to one migration, and all that it may do with it.
 *
 * INVARIANTS
 * - Everything with an effect asserts the right first, and ends with the signal's reason once it is gone.
 * - Nothing is written that a later owner has not been protected from: state by the token, legs by the lease's number.
 * - What was seen of a leg while the state was stored counts for a leg that is asked for because of that state, and at once: a
 *   process that stood still in between looks again.
 */
import {
  keys,
  type CmtError,
  type Leg,
  type LegResult,
  type MigrationEvent,
  type MigrationId,
  type MigrationReport,
  type ResolveOrder,
  type Tuning,
} from '@cmt/contracts';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { obeying } from './bounded.ts';
import type { Dispatcher } from './dispatch.ts';
import { tell } from './events.ts';
import { legKey } from './leg-job.ts';
import type { DispatchLimits } from './leg-watch.ts';
import type { Ownership } from './ownership.ts';
import { takePlaces, type PlacesAnswer, type PlacesAsked } from './places.ts';
import type { KeyPair } from './key-pair.ts';
import type { Opener } from './seal.ts';
import { passTuningOn, readTuning } from './tune.ts';
import { saveAndLook, type StoredSaga, type TakenOver } from './store.ts';

/** A leg as the saga wants it; format and time of issue are added here. */
export type LegDraft = Omit<Leg, 'v' | 'issuedAt' | 'migration'>;

/** Names a leg of the migration. */
export type LegName = Pick<Leg, 'host' | 'task'>;

/** Milliseconds from the storing of a state to a leg that is asked for because of it: far less than a lock lives. */
const AT_ONCE_MS = 1_000;

export interface LeaseParts {
  readonly migration: MigrationId;
  readonly takenOver: TakenOver;
  readonly token: string;
  readonly ownership: Ownership;
  readonly redis: Redis;
  /** Of migrations. */
  readonly queue: Queue;
  readonly dispatcher: Dispatcher;
  /** Who writes, as events name it. */
  readonly host: string;
  /** Judges signed orders. */
  readonly opener: Opener;
  /** Sign its word to workers. */
  readonly keys: KeyPair;
  /** An operator's word that this run of the migration is to begin with, or null. */
  readonly order?: ResolveOrder | null;
}

export class Lease {
  readonly migration: MigrationId;
  readonly #parts: LeaseParts;
  readonly #cancel = new AbortController();
  #onTuned: (tuning: Tuning) => void = () => undefined;
  /** What workers were told of it last, in JSON. */
  #passedOn = '{}';
  /** Which legs were there when the state was stored last; `until` on the clock of `performance.now()`. */
  #seen: { readonly until: number; readonly legs: Map<string, boolean> } = { until: 0, legs: new Map() };
  /** The migration as it stood when it was taken over. */
  readonly stored: StoredSaga | null;
  /** The state of it, whether its report can be read or not; null before any was stored, text where it is damaged. */
  readonly state: unknown;
  /** A container stands still in this migration: a shutdown waits for it to go on. */
  standsStill = false;

  constructor(parts: LeaseParts) {
    this.migration = parts.migration;
    this.#parts = parts;
    this.stored = parts.takenOver.stored;
    this.state = parts.takenOver.state;
  }

  /** Aborts when this process may no longer work on the migration: fenced, or shutting down. */
  get signal(): AbortSignal {
    return this.#parts.ownership.signal;
  }

  /** Aborts when somebody asks for the end of the migration; its reason is their text. */
  get cancelled(): AbortSignal {
    return this.#cancel.signal;
  }

  /** An operator's word that was not obeyed yet, or null. */
  get order(): ResolveOrder | null {
    return this.#parts.order ?? null;
  }

  /** @throws {Fenced | ShuttingDown} when the right is gone. To be called before every effect that is not one of the lease's own. */
  assertOwned(): void {
    this.#parts.ownership.assertOwned();
  }

  /** Takes the places of limits that the migration needs, or puts it into a line; they are given back after its end. */
  takePlaces(asked: Omit<PlacesAsked, 'migration'>): Promise<PlacesAnswer> {
    this.assertOwned();
    const { redis, queue } = this.#parts;
    return obeying(takePlaces(redis, queue, { ...asked, migration: this.migration }), this.signal);
  }

  /**
   * Stores state and report; a change of the report's state is told to watchers in the same step.
   * @param next legs that are asked for because of that state: looked up in the same step
   * @throws {Fenced}
   */
  async save(state: unknown, report: MigrationReport, next: readonly LegName[] = []): Promise<void> {
    this.assertOwned();
    const { redis, token, host } = this.#parts;
    const until = performance.now() + AT_ONCE_MS;
    const jobs = next.map((leg) => legKey({ ...leg, migration: this.migration }));
    const found = await obeying(saveAndLook(redis, token, { state, report, host }, jobs), this.signal);
    this.#seen = { until, legs: new Map(jobs.map((job, at) => [job, found[at] === true])) };
  }

  /**
   * Runs a leg on its host, or joins it when it was asked for already.
   * @param stop with a CmtError as its reason stops the leg (withdrawn, or aborted by its worker; the result says
   * CANCELLED); with any other reason ends only the waiting
   * @throws {CmtError} HOST_UNREACHABLE when it did not end in time: whether it ran is unknown
   */
  async dispatch(draft: LegDraft, limits: DispatchLimits, stop: AbortSignal): Promise<LegResult> {
    this.assertOwned();
    const leg: Leg = { ...draft, v: 1, migration: this.migration, issuedAt: Date.now() };
    const claim = { lease: this.#parts.takenOver.number, owned: this.signal, stop };
    return await this.#parts.dispatcher.dispatch(leg, claim, limits, this.#takeSeen(leg));
  }

  /** Whether that leg was asked for before, when the state was stored just now; null when that is to be looked up. */
  #takeSeen(leg: Leg): boolean | null {
    const { until, legs } = this.#seen;
    const job = legKey(leg);
    const seen = performance.now() < until ? legs.get(job) : undefined;
    legs.delete(job);
    return seen ?? null;
  }

  /** Tells those who watch. States are told by `save`. */
  async tell(event: Omit<MigrationEvent, 'v' | 'migration' | 'at' | 'host'>): Promise<void> {
    const { redis, host } = this.#parts;
    const whole = { ...event, v: 1, migration: this.migration, at: Date.now(), host } as const;
    await obeying(tell(redis, whole), this.signal);
  }

  /** Calls back with what was changed so far, whenever that is looked at. */
  onTuned(listener: (tuning: Tuning) => void): void {
    this.#onTuned = listener;
  }

  /** Looks whether somebody has changed something, and tells the workers. @param refuse told of what is not obeyed */
  async lookForTuning(refuse: (error: CmtError) => void): Promise<void> {
    const { redis, opener, token, keys: own } = this.#parts;
    const id = this.migration;
    const tuning = await obeying(readTuning(redis, id, opener, refuse), this.signal);
    this.#onTuned(tuning);
    const text = JSON.stringify(tuning);
    if (text === this.#passedOn) return;
    this.assertOwned();
    await obeying(passTuningOn(redis, token, { id, tuning }, own), this.signal);
    this.#passedOn = text;
  }

  /** Looks whether somebody has asked for the end. */
  async lookForCancel(): Promise<void> {
    const reason = await this.#parts.redis.get(keys.cancel(this.migration));
    if (reason !== null && !this.cancelled.aborted) this.#cancel.abort(reason);
  }
}
