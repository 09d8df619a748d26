/**
 * A carrier's descriptors. Up to 2 they are blocking in a child process (libuv), and that is what makes it fast: one read and one
 * write for each MiB, without a thread pool and without an event for every 64 KiB.
 */
import { readSync, writeSync, writevSync } from 'node:fs';
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';

export const CONNECTION = 0;
const WORDS = 1;
const ORDERS = 3;
/** Of a carrier of pages: the socket whose other end CRIU has. */
export const LOCAL = 4;

/** Says something to the worker. */
export function say(word: object): void {
  writeSync(WORDS, `${JSON.stringify(word)}\n`);
}

/** What the worker says, line by line. When it is gone, so is its carrier, unless it was told otherwise. */
export function hear(onOrder: (order: unknown) => void, onGone: () => void = () => process.exit(1)): void {
  const orders = new Socket({ fd: ORDERS, readable: true, writable: false });
  orders.once('close', onGone);
  createInterface({ input: orders }).on('line', (line) => onOrder(JSON.parse(line)));
}

/** Writes all of it to the connection. */
export function writeAll(pieces: readonly Buffer[]): void {
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const written = writevSync(CONNECTION, pieces);
  if (written === size) return;
  const rest = Buffer.concat(pieces).subarray(written);
  for (let at = 0; at < rest.length;) at += writeSync(CONNECTION, rest, at);
}

/** Small frames come many at a time. */
const ahead = Buffer.allocUnsafeSlow(64 * 1024);
let [from, to] = [0, 0];

/** Fills the buffer from the connection. @returns whether it was filled; false when the connection ended before the first byte */
export function readAll(into: Buffer): boolean {
  for (let at = 0; at < into.length;) {
    if (from < to) {
      const count = ahead.copy(into, at, from, to);
      [from, at] = [from + count, at + count];
      continue;
    }
    const isLarge = into.length - at >= ahead.length;
    const count = isLarge
      ? readSync(CONNECTION, into, at, into.length - at, null)
      : readSync(CONNECTION, ahead, 0, ahead.length, null);
    if (count === 0 && at === 0) return false;
    if (count === 0) throw new Error('the connection ended in the middle of a frame');
    if (isLarge) at += count;
    else [from, to] = [0, count];
  }
  return true;
}
