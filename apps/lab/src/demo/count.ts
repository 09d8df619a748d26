/** What a counting client saw: pure bookkeeping, in milliseconds of one clock. */

export interface CountReport {
  /** Answers received. */
  readonly operations: number;
  /** 0, or 1: the client never connects twice. */
  readonly connectionsLost: number;
  readonly lostBecause: string | null;
  /** Answers that were not exactly one more than the answer before. */
  readonly wrongValues: number;
  /** The last number the server said. */
  readonly value: number;
  /** Longest time without an answer, the one that lasts now included. */
  readonly longestGapMs: number;
  /** Gaps of 20 ms and more, the latest last, at most 1000: when each began, and how long it was. */
  readonly gaps: readonly { readonly at: number; readonly ms: number }[];
}

const GAP_MS = 20;
const GAPS_KEPT = 1000;

export class Count {
  private operations = 0;
  private wrongValues = 0;
  private value = 0;
  private lostBecause: string | null = null;
  private lastAt: number;
  private longest = 0;
  private readonly gaps: { at: number; ms: number }[] = [];

  constructor(now: number) {
    this.lastAt = now;
  }

  connected(now: number): void {
    this.lastAt = now;
  }

  /** @param line the server's answer without its line end, `:<number>` if all is well. */
  answered(now: number, line: string): void {
    const value = line.startsWith(':') ? Number(line.slice(1)) : NaN;
    const expected = this.operations === 0 ? !Number.isNaN(value) : value === this.value + 1;
    if (!expected) this.wrongValues += 1;
    this.note(now);
    this.operations += 1;
    this.value = value;
  }

  lost(because: string): void {
    this.lostBecause ??= because;
  }

  report(now: number): CountReport {
    return {
      operations: this.operations,
      connectionsLost: this.lostBecause === null ? 0 : 1,
      lostBecause: this.lostBecause,
      wrongValues: this.wrongValues,
      value: this.value,
      longestGapMs: Math.round(Math.max(this.longest, now - this.lastAt)),
      gaps: this.gaps,
    };
  }

  private note(now: number): void {
    const ms = now - this.lastAt;
    this.longest = Math.max(this.longest, ms);
    if (ms >= GAP_MS) this.gaps.push({ at: performance.timeOrigin + this.lastAt, ms: Math.round(ms) });
    if (this.gaps.length > GAPS_KEPT) this.gaps.shift();
    this.lastAt = now;
  }
}
