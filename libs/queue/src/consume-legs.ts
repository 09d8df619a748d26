/**
 * The worker's side of the queue: hands this host's legs to a runner and reports their results.
 *
 * INVARIANTS
 * - A leg runs only if it was signed by somebody trusted, for this host, under this very id, not long ago, and its
 *   migration's present owner wants it. Everything else gets a failure as its result, and nothing runs.
 * - While draining, only what is urgent is begun; the rest goes back to the queue and has had no effect.
 * - A leg that has ended here has its result on disk: asked for again, it gets that result and is not run again.
 * - A leg whose lock cannot be renewed is aborted before the lock expires.
 * - Looks for what was tuned come one after the other: what was said last is in force last.
 */
import {
  CmtError,
  hostQueue,
  Leg,
  LegResult,
  MAX_JOB_BYTES,
  StepName,
  type HostName,
  type MigrationId,
  type Tuning,
} from '@cmt/contracts';
import type { Job } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { Bus, sendWake } from './bus.ts';
import { readObeyedTuning } from './tune.ts';
import { FencedWorker } from './fenced-worker.ts';
import { LEG_FRESH_MS, staleness } from './freshness.ts';
import { Ledger } from './ledger.ts';
import {
  becomesWanted,
  claimLeg,
  isWanted,
  LegJob,
  legId,
  migrationOfLeg,
  stopReason,
  type LegClaim,
} from './leg-job.ts';
import { Fenced, Postponed, ShuttingDown, type LockTiming, type Ownership } from './ownership.ts';
import { openSealed } from './seal.ts';
import type { Trust } from './trust.ts';

export interface WorkerOptions {
  /** Of role `worker`. Closed by the caller, after `close`. */
  readonly redis: Redis;
  readonly host: HostName;
  /** Legs at the same time. */
  readonly concurrency: number;
  readonly trust: Trust;
  readonly logger: Logger;
  /** Directory of its own below the state directory: the results of legs that have ended here. */
  readonly ledgerDir: string;
  readonly timing?: LockTiming;
}

export type TuningListener = (migration: MigrationId, tuning: Tuning) => Promise<void> | void;

/** Which migrations are worth a look when they are tuned. */
export interface TunableMigrations {
  /** All others cost nothing. */
  has(migration: MigrationId): Promise<boolean>;
  /** Looked at when others may have been told of something before. */
  underWay(): Promise<readonly MigrationId[]>;
}

const ALL_THAT_ARE_SAID: TunableMigrations = {
  has: () => Promise.resolve(true),
  underWay: () => Promise.resolve([]),
};

/** The right to run a leg. */
export interface LegLease {
  readonly legId: string;
  /** Aborts with CmtError CANCELLED when the leg is to be stopped, and with Fenced or ShuttingDown when it will be begun again. */
  readonly signal: AbortSignal;
  /** @throws the signal's reason. To be called before every effect. */
  assertOwned(): void;
  /** Calls back when the run is over and its result on disk: what is sent now goes on its way with what the queue is told. */
  onOver(listener: () => void): void;
}

export type LegRunner = (leg: Leg, lease: LegLease) => Promise<LegResult>;

/** Milliseconds between looks for a request to stop that was missed. */
const STOP_LOOK_MS = 2_000;

/** Takes this host's legs from its queue until it is closed. */
export function consumeLegs(options: WorkerOptions, run: LegRunner): LegConsumer {
  return new LegConsumer(options, run);
}

/** Use {@link consumeLegs}. */
export class LegConsumer {
  readonly #options: WorkerOptions;
  readonly #run: LegRunner;
  readonly #bus: Bus;
  readonly #worker: FencedWorker<LegClaim>;
  readonly #ended: Ledger<LegResult>;
  readonly #stopLook: NodeJS.Timeout;
  #tuned: { readonly listener: TuningListener; readonly which: TunableMigrations } | null = null;
  #lastLook: Promise<void> = Promise.resolve();
  #isUrgent: ((leg: Leg) => Promise<boolean>) | null = null;

  constructor(options: WorkerOptions, run: LegRunner) {
    const { redis, host, logger } = options;
    this.#options = options;
    this.#run = run;
    this.#ended = new Ledger(options.ledgerDir, LegResult);
    this.#bus = new Bus(redis, ['control'], logger);
    this.#worker = new FencedWorker(
      { ...options, name: host, queueName: hostQueue(host), migrationOf: migrationOfLeg },
      (job, ownership, _token, claimed) => this.#process(job, ownership, claimed),
      (id, token, lockMs) => claimLeg(redis, host, { id, token, lockMs }),
    );
    this.#worker.onCompleted((leg) => void sendWake(redis, { host, leg }).catch(() => undefined));
    this.#bus.onControl((control) => {
      if (control.kind === 'stop' && control.host === host) this.#stop(control.leg, control.reason);
      if (control.kind === 'tuned') this.#lookForTuning(control.migration);
    });
    this.#bus.onListening(() => void this.#lookForTunings());
    this.#stopLook = setInterval(() => void this.#lookForStops(), STOP_LOOK_MS);
  }

  /** From now on begins only legs that are urgent; the others are left in the queue. */
  drain(isUrgent: (leg: Leg) => Promise<boolean>): void {
    this.#isUrgent = isUrgent;
  }

  /**
   * Calls back when a migration was tuned, whosever it is, with all that its coordinator obeys. Legs that begin later have it in their
   * input.
   */
  onTuned(listener: TuningListener, which: TunableMigrations = ALL_THAT_ARE_SAID): void {
    this.#tuned = { listener, which };
  }

  /** Ids of the legs under way. */
  running(): string[] {
    return this.#worker.running();
  }

  /** Gives legs under way back to the queue. */
  handBack(legs: readonly string[]): void {
    for (const leg of legs) this.#worker.ownershipOf(leg)?.abort(new ShuttingDown());
  }

  /** Makes legs under way fail, so that their migration is turned back. */
  fail(legs: readonly string[], reason: CmtError): void {
    for (const leg of legs) this.#worker.ownershipOf(leg)?.abort(reason);
  }

  /** Takes no more legs, gives those under way `graceMs`, then hands them back. */
  async close(graceMs: number): Promise<void> {
    clearInterval(this.#stopLook);
    await this.#worker.close(graceMs);
    await this.#ended.close();
    this.#bus.close();
  }

  /** For what was said while nobody here was listening. */
  async #lookForTunings(): Promise<void> {
    const missed = (await this.#tuned?.which.underWay().catch(() => [])) ?? [];
    for (const migration of missed) this.#lookForTuning(migration);
  }

  #lookForTuning(migration: MigrationId): void {
    const look = this.#lastLook.then(() => this.#tune(migration));
    this.#lastLook = look.catch((error: unknown) =>
      this.#options.logger.warn({ err: error, migration }, 'what was tuned is not in force here'),
    );
  }

  async #tune(migration: MigrationId): Promise<void> {
    if (this.#tuned === null || !(await this.#tuned.which.has(migration))) return;
    const { redis, trust, host } = this.#options;
    const tuning = await readObeyedTuning(redis, migration, { trust, host });
    if (tuning !== null) await this.#tuned.listener(migration, tuning);
  }

  async #process(job: Job<unknown>, ownership: Ownership, claimed: LegClaim): Promise<LegResult> {
    const id = job.id ?? '';
    let over: () => void = () => undefined;
    try {
      const leg = await this.#open(job);
      if (this.#isUrgent !== null && !(await this.#isUrgent(leg))) throw new Postponed();
      await this.#assertWanted(leg, job, ownership, claimed);
      const earlier = await this.#ended.find(id);
      if (earlier !== null) return earlier;
      const { stop } = claimed;
      const result =
        stop === null
          ? await this.#runOnce(leg, ownership, (listener) => (over = listener))
          : failed(firstStep(leg), cancelled(stop));
      await this.#ended.record(id, result);
      return result;
    } catch (error) {
      if (!(error instanceof CmtError)) throw error;
      this.#options.logger.warn({ leg: id, migration: migrationOfLeg(id), err: error }, 'a leg is refused');
      return failed(StepName.safeParse(job.name.split('+')[0]).data ?? 'inspect', error);
    } finally {
      over();
    }
  }

  /** @throws {CmtError} REQUEST_FORGED, REQUEST_NEWER, REQUEST_INVALID */
  async #open(job: Job<unknown>): Promise<Leg> {
    const { host, trust } = this.#options;
    const queue = hostQueue(host);
    const { data } = LegJob.safeParse(job.data);
    const leg = await openSealed(queue, data?.sealed, Leg, { trust, host });
    const forged = (problem: string) => new CmtError('REQUEST_FORGED', { queue, host, problem });
    if (leg.host !== host) throw forged(`it is meant for ${leg.host}`);
    if (legId(leg) !== job.id) throw forged(`it is a copy of ${legId(leg)}`);
    const stale = staleness(leg.issuedAt, LEG_FRESH_MS, Date.now());
    if (stale !== null) throw forged(stale);
    return leg;
  }

  /** @throws {CmtError} INTERNAL when only a coordinator that has lost the migration asked for it */
  async #assertWanted(leg: Leg, job: Job<unknown>, ownership: Ownership, claimed: LegClaim): Promise<void> {
    const { redis, host } = this.#options;
    const { lease } = LegJob.parse(job.data);
    if (isWanted(claimed, lease) || (await becomesWanted(redis, leg, lease, ownership.signal))) return;
    const reason = 'the coordinator that asked for it has lost the migration';
    throw new CmtError('INTERNAL', { host, step: leg.task, reason });
  }

  async #runOnce(leg: Leg, ownership: Ownership, onOver: LegLease['onOver']): Promise<LegResult> {
    const id = legId(leg);
    const { host } = this.#options;
    try {
      const { signal } = ownership;
      const lease = { legId: id, signal, assertOwned: () => ownership.assertOwned(), onOver };
      const result = await this.#run(leg, lease);
      return this.#worthKeeping(leg, result, ownership);
    } catch (error) {
      if (isHandBack(ownership.signal.reason)) throw ownership.signal.reason;
      if (error instanceof CmtError) return failed(firstStep(leg), error);
      this.#options.logger.error({ leg: id, migration: leg.migration, err: error }, 'a leg broke');
      const reason = error instanceof Error ? error.message : String(error);
      return failed(firstStep(leg), new CmtError('INTERNAL', { host, step: firstStep(leg), reason }));
    }
  }

  /** A leg that failed because this process may not go on says nothing: it will be begun again. */
  #worthKeeping(leg: Leg, result: LegResult, { signal }: Ownership): LegResult {
    const complete = result.results.length === leg.calls.length && result.results.every(({ ok }) => ok);
    if (isHandBack(signal.reason) && !complete) throw signal.reason;
    if (Buffer.byteLength(JSON.stringify(result)) <= MAX_JOB_BYTES) return result;
    const reason = `its result is larger than ${MAX_JOB_BYTES} bytes`;
    throw new CmtError('INTERNAL', { host: this.#options.host, step: firstStep(leg), reason });
  }

  #stop(leg: string, reason: string): void {
    this.#worker.ownershipOf(leg)?.abort(cancelled(reason));
  }

  async #lookForStops(): Promise<void> {
    const { redis, host } = this.#options;
    for (const leg of this.#worker.running()) {
      const reason = await stopReason(redis, host, leg).catch(() => null);
      if (reason !== null) this.#stop(leg, reason);
    }
  }
}

const isHandBack = (reason: unknown): reason is Error =>
  reason instanceof Fenced || reason instanceof ShuttingDown;

const cancelled = (reason: string): CmtError => new CmtError('CANCELLED', { reason });
const firstStep = (leg: Leg): StepName => leg.calls[0]?.step ?? 'inspect';

const failed = (step: StepName, { failure }: CmtError): LegResult => ({
  v: 1,
  results: [{ ok: false, step, failure, ms: 0 }],
});
