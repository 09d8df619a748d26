/** A clock that jumps from one event to the next, and a random source: both the same for the same seed. */

interface Scheduled {
  readonly at: number;
  readonly order: number;
  readonly act: () => void;
}

/** Milliseconds since 1970 at which every simulated world begins. */
const BEGINNING = 1_700_000_000_000;

export class VirtualTime {
  now = BEGINNING;
  events = 0;
  #order = 0;
  /** A binary heap by time, then by order of scheduling. */
  readonly #heap: Scheduled[] = [];

  /** Milliseconds since the beginning. */
  get elapsed(): number {
    return this.now - BEGINNING;
  }

  /** Does something after so many milliseconds. */
  after(ms: number, act: () => void): void {
    this.#push({ at: this.now + Math.max(0, ms), order: (this.#order += 1), act });
  }

  /** Runs event after event; before each, all that the one before has set going comes to rest. */
  async run(goesOn: () => boolean, afterEach: () => void): Promise<void> {
    for (;;) {
      await new Promise(setImmediate);
      afterEach();
      const next = goesOn() ? this.#pop() : undefined;
      if (next === undefined) return;
      this.now = Math.max(this.now, next.at);
      this.events += 1;
      next.act();
    }
  }

  #push(entry: Scheduled): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(entry, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): Scheduled | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (isBefore(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

const isBefore = (a: Scheduled, b: Scheduled): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

/** Mulberry32: small, fast, and the same everywhere. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  /** A whole number in [low, high]. */
  whole(low: number, high: number): number {
    return Math.floor(this.between(low, high + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.next() * from.length)]!;
  }
}
