/**
 * The right to work on a job: held while its lock is renewed, given up before anybody else can have it.
 *
 * INVARIANTS
 * - The lock lives so long as Redis says from the moment it says so, which is not before it was asked. So what is counted from is
 *   the asking: `lockMs - fenceMs` before the end of that time, without a newer answer, `signal` aborts.
 * - Aborted is for ever; a late answer does not bring the right back.
 * - `assertOwned` reads the clock itself: after a SIGSTOP it is right before any timer has fired.
 * - A lock that belongs to somebody else ends the right at once.
 *
 * The clock is CLOCK_MONOTONIC: it runs on while a process is stopped, not while the whole machine is suspended.
 */
import { LOCK_MS, SELF_FENCE_MS, STALLED_CHECK_MS } from '@cmt/contracts';
import { obeying } from './bounded.ts';

/** Milliseconds. `fenceMs` must leave a margin to `lockMs`. */
export interface LockTiming {
  readonly lockMs: number;
  readonly fenceMs: number;
  readonly renewMs: number;
  readonly stalledCheckMs: number;
}

export const LOCK_TIMING: LockTiming = {
  lockMs: LOCK_MS,
  fenceMs: SELF_FENCE_MS,
  renewMs: LOCK_MS / 5,
  stalledCheckMs: STALLED_CHECK_MS,
};

/** The job may belong to somebody else by now: stop, and write nothing more. */
export class Fenced extends Error {
  constructor(why: string) {
    super(`this process no longer owns the job: ${why}`);
    this.name = 'Fenced';
  }
}

/** This process is about to end: stop, the job goes back to its queue. */
export class ShuttingDown extends Error {
  constructor() {
    super('this process shuts down');
    this.name = 'ShuttingDown';
  }
}

/** Not now: this process takes up nothing new any more, or the job has to wait for something. */
export class Postponed extends Error {
  /** Milliseconds for which it is left alone. */
  readonly ms: number;
  constructor(why = 'this process is about to end and begins nothing new', ms = 1000) {
    super(why);
    this.name = 'Postponed';
    this.ms = ms;
  }
}

/** Milliseconds that the lock lives from the moment of asking on; 0 when it is lost. */
export type LockLife = () => Promise<number>;

export class Ownership {
  readonly #controller = new AbortController();
  readonly #renew: LockLife;
  readonly #timing: LockTiming;
  #fenceAt = 0;
  #watchdog: NodeJS.Timeout | undefined;
  #renewal: NodeJS.Timeout | undefined;
  #ended = false;

  private constructor(renew: LockLife, timing: LockTiming) {
    this.#renew = renew;
    this.#timing = timing;
  }

  /**
   * Confirms the lock and keeps it. `renew` extends it and says how long it lives; the first time `first` is asked, which need not extend
   * a lock that is new.
   * @throws {Fenced} when it is lost
   */
  static async claim(renew: LockLife, timing: LockTiming, first = renew): Promise<Ownership> {
    const ownership = new Ownership(renew, timing);
    try {
      await obeying(ownership.#extend(first), ownership.signal);
      ownership.signal.throwIfAborted();
      return ownership;
    } catch (error) {
      ownership.end();
      throw error;
    }
  }

  /** Aborts with Fenced, ShuttingDown, or whatever `abort` was given. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** @throws the signal's reason when the right is gone. To be called before every effect. */
  assertOwned(): void {
    if (performance.now() >= this.#fenceAt) this.abort(new Fenced('its lock was not renewed in time'));
    this.signal.throwIfAborted();
  }

  /** Gives the right up; the lock is still renewed until `end`, so that the work can be wound up. */
  abort(reason: Error): void {
    if (!this.signal.aborted) this.#controller.abort(reason);
  }

  /** Stops renewing. */
  end(): void {
    this.#ended = true;
    clearTimeout(this.#watchdog);
    clearTimeout(this.#renewal);
  }

  async #extend(renew = this.#renew): Promise<void> {
    const sentAt = performance.now();
    const { lockMs, fenceMs, renewMs } = this.#timing;
    if (this.#fenceAt === 0) this.#expectUntil(sentAt + fenceMs);
    try {
      const lives = await renew();
      if (lives > 0) this.#expectUntil(sentAt + lives - (lockMs - fenceMs));
      else this.abort(new Fenced('its lock is gone'));
    } catch {
      // Redis is away: the watchdog decides how long that may last.
    }
    if (!this.#ended && !(this.signal.reason instanceof Fenced))
      this.#renewal = setTimeout(() => void this.#extend(), renewMs);
  }

  #expectUntil(fenceAt: number): void {
    clearTimeout(this.#watchdog);
    if (this.#ended || this.signal.aborted) return;
    this.#fenceAt = fenceAt;
    const left = Math.max(0, fenceAt - performance.now());
    this.#watchdog = setTimeout(() => this.abort(new Fenced('its lock was not renewed in time')), left);
  }
}
