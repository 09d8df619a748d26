/**
 * What this machine has already brought to an end, on its own disk: a signed job that is put into the queue once more is
 * recognised, whatever happened to Redis meanwhile. Endings are lines of logs, and a line costs one write: a file for each took nine
 * tenths of the time in making, naming and closing it.
 *
 * INVARIANTS
 * - Of one directory there is one ledger at a time; it knows what is in it from its first look on.
 * - A log is written by one process, and not after a write to it that failed: nothing stands behind a torn line.
 * - Of two endings under one id the later one counts: later in its log, or in a log with a higher number.
 */
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { within } from './bounded.ts';
import { LogWriter } from './log-writer.ts';

const DAY_MS = 24 * 3600 * 1000;
const KEPT_MS = 15 * DAY_MS;
const CLOSE_MS = 1_000;

/** Where an ending stands, as JSON. */
interface Place {
  readonly file: string;
  readonly at: number;
  readonly bytes: number;
}

interface Opened {
  readonly places: Map<string, Place>;
  readonly log: LogWriter;
}

export class Ledger<T> {
  readonly #dir: string;
  readonly #schema: z.ZodType<T>;
  readonly #keptMs: number;
  #opened: Promise<Opened> | undefined;

  /**
   * @param dir made 0700 at the first look
   * @param keptMs milliseconds that an ending is kept at least; unless given, longer than any job is taken for fresh
   */
  constructor(dir: string, schema: z.ZodType<T>, keptMs = KEPT_MS) {
    this.#dir = dir;
    this.#schema = schema;
    this.#keptMs = keptMs;
  }

  /** What was written down at the end of `id` (letters, digits, `.`, `_`, `-`), or null. */
  async find(id: string): Promise<T | null> {
    const place = (await this.#open()).places.get(id);
    if (place === undefined) return null;
    try {
      return this.#schema.parse(JSON.parse(await textAt(place)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  /** Survives the end of this process; a power cut may take the last ones, and then a job is begun once more. */
  async record(id: string, ending: T): Promise<void> {
    if (!/^[\w-][\w.-]*$/.test(id)) throw new Error(`${id} is no name in a ledger`);
    const { places, log } = await this.#open();
    const line = Buffer.from(`${id} ${JSON.stringify(ending)}\n`);
    const { file, at } = await log.append(line);
    // Between the blank behind the id, which is ASCII, and the end of the line.
    places.set(id, { file, at: at + id.length + 1, bytes: line.length - id.length - 2 });
  }

  /** Lets go of its log; what is recorded later goes to a new one. A disk that does not answer keeps nobody from ending. */
  async close(): Promise<void> {
    const closed = this.#opened?.then(({ log }) => log.close()).catch(() => undefined);
    await within(closed ?? Promise.resolve(), CLOSE_MS, () => undefined);
  }

  #open(): Promise<Opened> {
    this.#opened ??= this.#read().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  /** What is too old to be fresh is thrown away; what cannot be thrown away stays. */
  async #read(): Promise<Opened> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const places = new Map<string, Place>();
    let last = 0;
    for (const name of (await readdir(this.#dir)).sort(logsLast)) {
      const file = join(this.#dir, name);
      last = Math.max(last, numberOf(name));
      const { mtimeMs, size } = await stat(file);
      if (Date.now() - mtimeMs > this.#keptMs) await rm(file, { force: true }).catch(() => undefined);
      else if (numberOf(name) > 0) for await (const [id, place] of linesOf(file)) places.set(id, place);
      // Of a cmt that had a file for each.
      else if (name.endsWith('.json'))
        places.set(name.slice(0, -'.json'.length), { file, at: 0, bytes: size });
    }
    return { places, log: new LogWriter(this.#dir, last + 1, DAY_MS) };
  }
}

/** Number of a log, or 0 for any other file. */
const numberOf = (name: string): number => Number(/^(\d+)\.log$/.exec(name)?.[1] ?? 0);
const logsLast = (a: string, b: string): number => numberOf(a) - numberOf(b);

async function textAt({ file, at, bytes }: Place): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, at);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** The endings of a log. What follows its last line end was torn. */
async function* linesOf(file: string): AsyncGenerator<[string, Place]> {
  let rest: Buffer = Buffer.alloc(0);
  let at = 0;
  for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let end: number;
    let begin = 0;
    while ((end = rest.indexOf('\n', begin)) >= 0) {
      const blank = rest.indexOf(' ', begin);
      if (blank > begin && blank < end)
        yield [rest.toString('latin1', begin, blank), { file, at: at + blank + 1, bytes: end - blank - 1 }];
      begin = end + 1;
    }
    rest = rest.subarray(begin);
    at += begin;
  }
}
