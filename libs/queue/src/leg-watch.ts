/** When a leg counts as lost. Pure but for the clock it is given. */
import type { LegStatus } from './leg-job.ts';

export interface DispatchLimits {
  /** Milliseconds until a worker must have begun the leg. */
  readonly pickUpMs: number;
  /** Milliseconds until the result must be there. */
  readonly limitMs: number;
  /** Milliseconds that a begun leg may be without a worker: longer than one needs to be back after a crash. */
  readonly lostAfterMs?: number;
}

const LOST_AFTER_MS = 30_000;

export class LegWatch {
  readonly #limits: DispatchLimits;
  readonly #since: number;
  #unlockedSince: number | null = null;

  constructor(limits: DispatchLimits, now: number) {
    this.#limits = limits;
    this.#since = now;
  }

  isLost({ phase, locked }: Pick<LegStatus, 'phase' | 'locked'>, now: number): boolean {
    const waited = now - this.#since;
    if (waited > this.#limits.limitMs) return true;
    if (phase === 'waiting') return waited > this.#limits.pickUpMs;
    this.#unlockedSince = locked ? null : (this.#unlockedSince ?? now);
    return (
      this.#unlockedSince !== null && now - this.#unlockedSince > (this.#limits.lostAfterMs ?? LOST_AFTER_MS)
    );
  }
}
