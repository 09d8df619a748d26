/** CRIU's own clock, read from its log: every line begins with the seconds since it started, e.g. `(00.041234)` (criu/log.c). */
import { open } from 'node:fs/promises';

const TAIL_BYTES = 4096;

/** Milliseconds from CRIU's start to its last line so far; null when there is no log. Reads the tail only: this is part of the blackout. */
export async function lastLogTime(path: string): Promise<number | null> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const tail = Buffer.alloc(Math.min(size, TAIL_BYTES));
      await file.read(tail, 0, tail.length, size - tail.length);
      return parseLastTime(tail.toString('latin1'));
    } finally {
      await file.close();
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
