/**
 * One step of a migration at a time on this host, whatever the queue delivers.
 *
 * INVARIANTS
 * - Of one migration at most one step runs at any instant in this process, duplicates included.
 * - An undo, or a step of a newer epoch, aborts what is under way and starts after that has ended.
 * - Nothing of an older epoch aborts anything of a newer one.
 * - A step whose signal aborts while it waits never starts.
 */
import type { Epoch, MigrationId } from '@cmt/contracts';

/** What wants a turn. */
export interface Turn {
  readonly migration: MigrationId;
  readonly epoch: Epoch;
  readonly undo: boolean;
  readonly signal: AbortSignal;
}

interface InLine {
  readonly turn: Turn;
  readonly stop: AbortController;
  ended: Promise<unknown>;
}

/** Why a step was stopped. */
export class Preempted extends Error {
  constructor() {
    super('an undo, or a newer epoch of this migration, has come');
    this.name = 'Preempted';
  }
}

/** The turns of one host. */
export class Turns {
  private readonly lines = new Map<MigrationId, readonly InLine[]>();

  /** Runs `work` when all earlier turns of the migration have ended. Its signal also aborts when it is preempted. */
  take<T>(turn: Turn, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const before = this.lines.get(turn.migration) ?? [];
    const stop = new AbortController();
    const signal = AbortSignal.any([turn.signal, stop.signal]);
    for (const earlier of before) if (preempts(turn, earlier.turn)) earlier.stop.abort(new Preempted());

    const result = Promise.all(before.map((earlier) => earlier.ended)).then(() => {
      signal.throwIfAborted();
      return work(signal);
    });
    const place: InLine = { turn, stop, ended: Promise.resolve() };
    place.ended = result.catch(() => undefined).then(() => this.leave(place));
    this.lines.set(turn.migration, [...before, place]);
    return result;
  }

  private leave(place: InLine): void {
    const { migration } = place.turn;
    const left = (this.lines.get(migration) ?? []).filter((other) => other !== place);
    if (left.length > 0) this.lines.set(migration, left);
    else this.lines.delete(migration);
  }
}

function preempts(turn: Turn, earlier: Turn): boolean {
  if (earlier.epoch < turn.epoch) return true;
  return turn.undo && !earlier.undo && earlier.epoch === turn.epoch;
}
