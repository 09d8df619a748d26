/**
 * What this machine has already brought to an end, on its own disk: a signed job that is put into the queue once more is
 * recognised, whatever happened to Redis meanwhile.
 *
 * INVARIANT: of one directory there is one ledger at a time; it knows the names in it from its first look on.
 */
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';

const KEPT_MS = 15 * 24 * 3600 * 1000;

export class Ledger<T> {
  readonly #dir: string;
  readonly #schema: z.ZodType<T>;
  readonly #keptMs: number;
  #known: Promise<Set<string>> | undefined;

  /**
   * @param dir made 0700 at the first look
   * @param keptMs milliseconds that an ending is kept; unless given, longer than any job is taken for fresh
   */
  constructor(dir: string, schema: z.ZodType<T>, keptMs = KEPT_MS) {
    this.#dir = dir;
    this.#schema = schema;
    this.#keptMs = keptMs;
  }

  /** What was written down at the end of `id` (letters, digits, `.`, `_`, `-`), or null. */
  async find(id: string): Promise<T | null> {
    if (!(await this.#names()).has(id)) return null;
    try {
      return this.#schema.parse(JSON.parse(await readFile(this.#file(id), 'utf8')));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  /** Survives the end of this process; a power cut may take the last ones, and then a job is begun once more. */
  async record(id: string, ending: T): Promise<void> {
    const file = this.#file(id);
    const names = await this.#names();
    await writeFile(`${file}.new`, JSON.stringify(ending), { mode: 0o600 });
    await rename(`${file}.new`, file);
    names.add(id);
  }

  #file(id: string): string {
    if (!/^[\w-][\w.-]*$/.test(id)) throw new Error(`${id} is no name for a file`);
    return join(this.#dir, `${id}.json`);
  }

  #names(): Promise<Set<string>> {
    this.#known ??= this.#open().catch((error: unknown) => {
      this.#known = undefined;
      throw error;
    });
    return this.#known;
  }

  /** What is too old to be fresh is thrown away; what cannot be thrown away stays. */
  async #open(): Promise<Set<string>> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const names = new Set<string>();
    for (const name of await readdir(this.#dir)) {
      const file = join(this.#dir, name);
      const { mtimeMs } = await stat(file);
      if (Date.now() - mtimeMs > this.#keptMs) await rm(file, { force: true }).catch(() => undefined);
      else if (name.endsWith('.json')) names.add(name.slice(0, -'.json'.length));
    }
    return names;
  }
}
