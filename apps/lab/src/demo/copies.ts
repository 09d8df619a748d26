/**
 * How many copies of a container there are, told from samples: pure.
 *
 * `absent`: no process. `frozen`: all held by the freezer. `held`: not one instruction of its own is run, because
 * CRIU holds it (dumping: every task is traced; restoring: every task has all signals blocked, as CRIU's restorer
 * keeps them until its very last act, the sigreturn into the program). `running`: anything else.
 */
export type CopyState = 'absent' | 'frozen' | 'held' | 'running';

export interface Interval {
  readonly host: string;
  readonly state: CopyState;
  /** Milliseconds since 1970 of the first and the last sample that saw this state. */
  readonly from: number;
  to: number;
}

export interface CopiesReport {
  readonly copies: {
    /** Most copies seen running in one sample. */
    readonly maxRunningAtOnce: number;
    /** Fewest copies in one sample that ran or could be let run: frozen or held ones count. */
    readonly minRunnable: number;
  };
  readonly samples: number;
  /** The longest time between two samples: what happened in it was not seen. */
  readonly longestBlindMs: number;
  /** Every state of every copy, in order of its beginning. */
  readonly intervals: readonly Interval[];
}

export class Copies {
  private samples = 0;
  private lastAt: number | null = null;
  private longestBlindMs = 0;
  private maxRunningAtOnce = 0;
  private minRunnable: number | null = null;
  private readonly intervals: Interval[] = [];
  private readonly latest = new Map<string, Interval>();

  /** @param at milliseconds since 1970; @param states the copy on each host, in one look. */
  sample(at: number, states: Readonly<Record<string, CopyState>>): void {
    const seen = Object.values(states);
    const runnable = seen.filter((state) => state !== 'absent').length;
    this.maxRunningAtOnce = Math.max(
      this.maxRunningAtOnce,
      seen.filter((state) => state === 'running').length,
    );
    // Before the first copy was seen there is nothing that could have been lost.
    if (runnable > 0 || this.minRunnable !== null)
      this.minRunnable = Math.min(this.minRunnable ?? runnable, runnable);
    if (this.lastAt !== null) this.longestBlindMs = Math.max(this.longestBlindMs, at - this.lastAt);
    this.lastAt = at;
    this.samples += 1;
    for (const [host, state] of Object.entries(states)) this.extend(host, state, at);
  }

  report(): CopiesReport {
    return {
      copies: { maxRunningAtOnce: this.maxRunningAtOnce, minRunnable: this.minRunnable ?? 0 },
      samples: this.samples,
      longestBlindMs: Math.round(this.longestBlindMs),
      intervals: this.intervals,
    };
  }

  private extend(host: string, state: CopyState, at: number): void {
    const latest = this.latest.get(host);
    if (latest?.state === state) {
      latest.to = at;
      return;
    }
    const interval: Interval = { host, state, from: at, to: at };
    this.latest.set(host, interval);
    this.intervals.push(interval);
  }
}
