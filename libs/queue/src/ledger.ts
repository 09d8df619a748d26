/**
 * What this machine has already brought to an end, on its own disk: a signed job that is put into the queue once more is
 * recognised, whatever happened to Redis meanwhile.
 */
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';

/** Longer than any job is taken for fresh. */
const KEPT_MS = 15 * 24 * 3600 * 1000;

export class Ledger<T> {
  readonly #dir: string;
  readonly #schema: z.ZodType<T>;
  #pruned: Promise<void> | undefined;

  /** @param dir made 0700 when something is written */
  constructor(dir: string, schema: z.ZodType<T>) {
    this.#dir = dir;
    this.#schema = schema;
  }

  /** What was written down at the end of `id` (letters, digits, `.`, `_`, `-`), or null. */
  async find(id: string): Promise<T | null> {
    try {
      return this.#schema.parse(JSON.parse(await readFile(this.#file(id), 'utf8')));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  /** Survives the end of this process; a power cut may take the last ones, and then a job is begun once more. */
  async record(id: string, ending: T): Promise<void> {
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const draft = `${this.#file(id)}.new`;
    await writeFile(draft, JSON.stringify(ending), { mode: 0o600 });
    await rename(draft, this.#file(id));
    this.#pruned ??= this.#prune();
    await this.#pruned;
  }

  #file(id: string): string {
    if (!/^[\w-][\w.-]*$/.test(id)) throw new Error(`${id} is no name for a file`);
    return join(this.#dir, `${id}.json`);
  }

  /** Never rejects: what cannot be thrown away stays. Drafts come and go meanwhile. */
  async #prune(): Promise<void> {
    for (const name of await readdir(this.#dir).catch(() => [])) {
      const file = join(this.#dir, name);
      const age = await stat(file).then(
        ({ mtimeMs }) => Date.now() - mtimeMs,
        () => 0,
      );
      if (age > KEPT_MS) await rm(file, { force: true }).catch(() => undefined);
    }
  }
}
