/**
 * Appends to a log on disk; what is asked for while a log is opened or left goes with the next write, in one.
 *
 * INVARIANT: after a write that failed nothing is added to that log: the next one is begun.
 */
import { close, open, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

// By number: a handle that nobody closes is complained about, and costs twice as much.
const [openFile, closeFile] = [promisify(open), promisify(close)];

interface Wanted {
  readonly bytes: Buffer;
  readonly done: (at: Written) => void;
  readonly failed: (error: unknown) => void;
}

/** Where something stands in a log. */
export interface Written {
  readonly file: string;
  readonly at: number;
}

interface Log {
  readonly file: string;
  readonly descriptor: number;
  readonly begunAt: number;
  length: number;
}

export class LogWriter {
  readonly #dir: string;
  readonly #renewMs: number;
  #number: number;
  #log: Log | null = null;
  #wanted: Wanted[] = [];
  #writing: Promise<void> | null = null;

  /**
   * @param number of its first log, higher than any that is in the directory
   * @param renewMs milliseconds after which a new log is begun, so that the old one can be thrown away one day
   */
  constructor(dir: string, number: number, renewMs: number) {
    this.#dir = dir;
    this.#number = number;
    this.#renewMs = renewMs;
  }

  /** Resolves when the kernel has it. */
  append(bytes: Buffer): Promise<Written> {
    return new Promise((done, failed) => {
      this.#wanted.push({ bytes, done, failed });
      this.#writing ??= this.#writeAll();
    });
  }

  /** After what is under way. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#leave();
  }

  async #writeAll(): Promise<void> {
    while (this.#wanted.length > 0) {
      const wanted = this.#wanted;
      this.#wanted = [];
      try {
        const log = await this.#current();
        let at = log.length;
        writeWhole(log, Buffer.concat(wanted.map(({ bytes }) => bytes)));
        for (const { bytes, done } of wanted) {
          done({ file: log.file, at });
          at += bytes.length;
        }
      } catch (error) {
        for (const { failed } of wanted) failed(error);
        await this.#leave();
      }
    }
    // In the same turn as the last look: what is asked for now finds nobody writing.
    this.#writing = null;
  }

  async #current(): Promise<Log> {
    if (this.#log !== null && Date.now() - this.#log.begunAt > this.#renewMs) await this.#leave();
    if (this.#log !== null) return this.#log;
    for (;;) {
      const file = join(this.#dir, `${String(this.#number).padStart(8, '0')}.log`);
      this.#number += 1;
      const descriptor = await openFile(file, 'ax', 0o600).catch(nullIfThere);
      if (descriptor !== null) return (this.#log = { file, descriptor, begunAt: Date.now(), length: 0 });
    }
  }

  async #leave(): Promise<void> {
    const log = this.#log;
    this.#log = null;
    if (log !== null) await closeFile(log.descriptor).catch(() => undefined);
  }
}

/** A process that was stopped, and is replaced, may have begun that one. */
function nullIfThere(error: unknown): null {
  if ((error as NodeJS.ErrnoException).code === 'EEXIST') return null;
  throw error;
}

/**
 * At once: the kernel takes a line into its memory in 2 µs, and the way through the thread pool costs 27, and more where others want the
 * processors. A disk that is behind holds this process up for a moment, as it would hold up the leg that waits for its line.
 */
function writeWhole(log: Log, bytes: Buffer): void {
  let left = bytes;
  while (left.length > 0) {
    const written = writeSync(log.descriptor, left);
    log.length += written;
    left = left.subarray(written);
  }
}
