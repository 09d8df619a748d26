/** The right to a job in the simulated world: renewed, and given up before the lock can expire (see libs/queue/src/ownership.ts). */
import { LOCK_MS, SELF_FENCE_MS } from '@cmt/contracts';
import { Fenced } from '../../libs/queue/src/ownership.ts';
import type { SimProcess } from './sim-process.ts';

export class SimOwnership {
  readonly #who: SimProcess;
  readonly #renew: () => Promise<boolean>;
  readonly #controller = new AbortController();
  #fenceAt: number;
  #ended = false;

  constructor(who: SimProcess, renew: () => Promise<boolean>) {
    this.#who = who;
    this.#renew = renew;
    this.#fenceAt = who.clock.elapsed() + SELF_FENCE_MS;
    this.#watch();
    this.#extendLater();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get isHandedBack(): boolean {
    return this.signal.reason instanceof Fenced;
  }

  assertOwned(): void {
    if (this.#who.clock.elapsed() >= this.#fenceAt)
      this.abort(new Fenced('its lock was not renewed in time'));
    this.signal.throwIfAborted();
  }

  abort(reason: Error): void {
    if (!this.signal.aborted) this.#controller.abort(reason);
  }

  end(): void {
    this.#ended = true;
  }

  #watch(): void {
    const left = this.#fenceAt - this.#who.clock.elapsed();
    this.#who.after(Math.max(1, left), () => {
      if (this.#ended || this.signal.aborted) return;
      if (this.#who.clock.elapsed() >= this.#fenceAt)
        this.abort(new Fenced('its lock was not renewed in time'));
      else this.#watch();
    });
  }

  #extendLater(): void {
    this.#who.after(LOCK_MS / 5, () => {
      if (!this.#ended) void this.#extend();
    });
  }

  async #extend(): Promise<void> {
    const sentAt = this.#who.clock.elapsed();
    try {
      if (await this.#renew()) this.#fenceAt = sentAt + SELF_FENCE_MS;
      else this.abort(new Fenced('its lock is gone'));
    } catch {
      // Redis is away: the watch decides how long that may last.
    }
    this.#extendLater();
  }
}
