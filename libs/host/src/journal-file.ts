/**
 * The journal as one small JSON file per migration.
 *
 * INVARIANTS
 * - An entry is replaced by rename, after its bytes are on disk; a torn write leaves the old entry and a `.tmp` nobody reads.
 * - Writes of one migration happen one after the other, and each looks at the epoch on disk first.
 * - What is read is on disk: a reader waits for the write under way, and whoever opens the journal first makes durable what a
 *   process that was killed had renamed and not yet synced. Nobody acts on what a power cut could still take back.
 * - Only what waits for the disk goes through the thread pool, whose queue would be felt in a blackout: an entry is a few hundred bytes.
 * - An entry that cannot be read is never taken for none: reading, writing and `busyWith` fail with JOURNAL_FAILED.
 */
import { closeSync, fsync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { CmtError, type HostName, type MigrationId } from '@cmt/contracts';
import { JournalEntry, type Journal } from './journal.ts';

export interface JournalPlace {
  /** Made with mode 0700 when it is not there. */
  readonly directory: string;
  /** For the sentences of failures. */
  readonly host: HostName;
}

/** Opens the journal of this host. @throws CmtError JOURNAL_FAILED when the directory cannot be made. */
export async function openJournal(place: JournalPlace): Promise<FileJournal> {
  await durably(place, place.directory, async () => {
    await mkdir(place.directory, { recursive: true, mode: 0o700 });
    await syncDirectory(dirname(place.directory));
    await syncDirectory(place.directory);
  });
  return new FileJournal(place);
}

/** Use {@link openJournal}. */
export class FileJournal implements Journal {
  private readonly lastWrite = new Map<MigrationId, Promise<void>>();
  /** For `recent`: read from the disk once, then kept by every write. */
  private readonly remembered = new Map<MigrationId, JournalEntry>();
  private firstLook: Promise<void> | undefined;

  constructor(private readonly place: JournalPlace) {}

  async read(migration: MigrationId): Promise<JournalEntry | null> {
    await this.lastWrite.get(migration);
    return await this.onDisk(migration);
  }

  private async onDisk(migration: MigrationId): Promise<JournalEntry | null> {
    const path = this.path(migration);
    const text = await durably(this.place, path, () => readIfThere(path));
    return text === null ? null : this.parse(path, text);
  }

  async write(entry: JournalEntry): Promise<void> {
    const before = this.lastWrite.get(entry.migration) ?? Promise.resolve();
    const now = before.then(() => this.replace(entry));
    const settled = now.catch(() => undefined);
    this.lastWrite.set(entry.migration, settled);
    try {
      await now;
    } finally {
      if (this.lastWrite.get(entry.migration) === settled) this.lastWrite.delete(entry.migration);
    }
  }

  async open(): Promise<JournalEntry[]> {
    return (await this.all()).filter((entry) => !entry.closed);
  }

  /**
   * Entries that are open, or were closed not longer ago than that, without a look at the disk: for announcements, which
   * must cost nothing while a container stands still. A write that another process makes is not seen.
   */
  async recent(closedWithinMs: number): Promise<JournalEntry[]> {
    this.firstLook ??= this.rememberAll();
    await this.firstLook.catch((error: unknown) => {
      this.firstLook = undefined;
      throw error;
    });
    const limit = Date.now() - closedWithinMs;
    for (const [migration, entry] of this.remembered)
      if (entry.closed && entry.updatedAt < limit) this.remembered.delete(migration);
    return [...this.remembered.values()];
  }

  async busyWith(container: string): Promise<MigrationId | null> {
    const unreadable = await this.unreadable();
    if (unreadable[0]) throw unreadable[0];
    return (await this.open()).find((entry) => entry.container === container)?.migration ?? null;
  }

  async unreadable(): Promise<CmtError[]> {
    const outcomes = await this.readAll();
    return outcomes.filter((outcome) => outcome instanceof CmtError);
  }

  async prune(olderThanMs: number): Promise<void> {
    const limit = Date.now() - olderThanMs;
    for (const entry of await this.all()) {
      if (!entry.closed || entry.updatedAt >= limit) continue;
      const path = this.path(entry.migration);
      await durably(this.place, path, () => unlink(path));
    }
  }

  private async rememberAll(): Promise<void> {
    // What was written meanwhile is newer than what is read.
    for (const entry of await this.all())
      if (!this.remembered.has(entry.migration)) this.remembered.set(entry.migration, entry);
  }

  private async all(): Promise<JournalEntry[]> {
    return (await this.readAll()).filter(
      (outcome): outcome is JournalEntry => !(outcome instanceof CmtError),
    );
  }

  private async readAll(): Promise<(JournalEntry | CmtError)[]> {
    const { directory } = this.place;
    await Promise.all(this.lastWrite.values());
    const names = await durably(this.place, directory, () => readdir(directory));
    const outcomes: (JournalEntry | CmtError)[] = [];
    for (const name of names.filter((each) => each.endsWith('.json')).sort()) {
      const path = join(directory, name);
      const text = await durably(this.place, path, () => readIfThere(path));
      if (text !== null) outcomes.push(this.tryParse(path, text));
    }
    return outcomes;
  }

  private async replace(entry: JournalEntry): Promise<void> {
    const current = await this.onDisk(entry.migration);
    if (current && current.epoch > entry.epoch) throw this.stale(entry, current);
    const path = this.path(entry.migration);
    await durably(this.place, path, async () => {
      await writeThrough(`${path}.tmp`, `${JSON.stringify(entry)}\n`);
      renameSync(`${path}.tmp`, path);
      await syncDirectory(this.place.directory);
    });
    this.remembered.set(entry.migration, entry);
  }

  private stale(entry: JournalEntry, current: JournalEntry): CmtError {
    const { host } = this.place;
    return new CmtError('STALE_EPOCH', {
      host,
      step: `phase ${entry.phase}`,
      epoch: entry.epoch,
      current: `epoch ${current.epoch}, ${current.phase}`,
    });
  }

  private parse(path: string, text: string): JournalEntry {
    const outcome = this.tryParse(path, text);
    if (outcome instanceof CmtError) throw outcome;
    return outcome;
  }

  private tryParse(path: string, text: string): JournalEntry | CmtError {
    try {
      return JournalEntry.parse(JSON.parse(text));
    } catch (error) {
      const reason = `it is not a journal entry (${error instanceof Error ? error.message.slice(0, 200) : 'unreadable'})`;
      return new CmtError('JOURNAL_FAILED', { host: this.place.host, path, reason });
    }
  }

  private path(migration: MigrationId): string {
    return join(this.place.directory, `${migration}.json`);
  }
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

async function writeThrough(path: string, text: string): Promise<void> {
  const file = openSync(path, 'w', 0o600);
  try {
    writeFileSync(file, text);
    await synced(file);
  } finally {
    closeSync(file);
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = openSync(directory, 'r');
  try {
    await synced(handle);
  } finally {
    closeSync(handle);
  }
}

const synced = promisify(fsync);

/** Turns a disk error into JOURNAL_FAILED. */
async function durably<T>({ host }: JournalPlace, path: string, effect: () => T | Promise<T>): Promise<T> {
  try {
    return await effect();
  } catch (error) {
    if (error instanceof CmtError) throw error;
    throw new CmtError('JOURNAL_FAILED', { host, path, reason: codeOf(error) });
  }
}

function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error ? error.message : String(error);
}
