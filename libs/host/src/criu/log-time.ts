/** CRIU's own clock, read from its log: every line begins with the seconds since it started, e.g. `(00.041234)` (criu/log.c). */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const TAIL_BYTES = 4096;

/** Milliseconds from CRIU's start to its last line so far; null when there is no log. Reads the tail only, and at once: this is part of the blackout. */
export const lastLogTime = (path: string): Promise<number | null> =>
  new Promise((resolve) => resolve(lastTimeIn(path)));

function lastTimeIn(path: string): number | null {
  try {
    const file = openSync(path, 'r');
    try {
      const { size } = fstatSync(file);
      const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
      readSync(file, tail, 0, tail.length, size - tail.length);
      return parseLastTime(tail.toString('latin1'));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** The last time stamp of a piece of log, in milliseconds. */
export function parseLastTime(text: string): number | null {
  const last = [...text.matchAll(/^\((\d+\.\d{6})\)/gm)].at(-1)?.[1];
  return last === undefined ? null : Number(last) * 1000;
}
