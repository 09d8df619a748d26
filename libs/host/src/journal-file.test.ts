import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openJournal, type FileJournal } from './journal-file.ts';
import type { JournalEntry } from './journal.ts';

const entry: JournalEntry = {
  v: 1,
  migration: 'm1',
  epoch: 1,
  side: 'target',
  phase: 'PREPARED',
  runtime: 'runc',
  container: 'web',
  bundle: '/srv/web',
  peer: 'a',
  network: { kind: 'none' },
  bundleExisted: false,
  restore: null,
  restoreOrderedAt: null,
  frozenAt: null,
  closed: false,
  updatedAt: 1000,
};

let directory: string;
let journal: FileJournal;

beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'cmt-journal-')), 'journal');
  journal = await openJournal({ directory, host: 'b' });
});
afterEach(() => rm(join(directory, '..'), { recursive: true }));

const failure = (code: string): unknown =>
  expect.objectContaining({ failure: expect.objectContaining({ code }) as unknown });

test('an entry is read back as it was written, by another process as well', async () => {
  await journal.write(entry);
  const other = await openJournal({ directory, host: 'b' });
  expect(await other.read('m1')).toEqual(entry);
  expect(await other.read('m2')).toBeNull();
});

test('who reads while an entry is being written is told when it is on disk', async () => {
  let isWritten = false;
  const writing = journal.write(entry).then(() => (isWritten = true));
  expect(await journal.read('m1')).toEqual(entry);
  expect(isWritten).toBe(true);
  await writing;
  const again = journal.write({ ...entry, closed: true }).then(() => (isWritten = false));
  expect(await journal.open()).toEqual([]);
  expect(isWritten).toBe(false);
  await again;
});

test('directory and entries are private', async () => {
  await journal.write(entry);
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  expect((await stat(join(directory, 'm1.json'))).mode & 0o777).toBe(0o600);
});

describe('epochs', () => {
  test('an older epoch is refused, and the newer entry stays', async () => {
    await journal.write({ ...entry, epoch: 2, phase: 'DISCARDED' });
    await expect(journal.write({ ...entry, epoch: 1, phase: 'HELD' })).rejects.toEqual(
      failure('STALE_EPOCH'),
    );
    expect(await journal.read('m1')).toMatchObject({ epoch: 2, phase: 'DISCARDED' });
  });

  test('of two writes at once the newer epoch stands, whichever was asked first', async () => {
    for (const epochs of [
      [1, 2],
      [2, 1],
    ]) {
      await Promise.allSettled(epochs.map((epoch) => journal.write({ ...entry, epoch })));
      expect((await journal.read('m1'))?.epoch).toBe(2);
    }
  });
});

describe('after a crash', () => {
  test('a torn temporary file never becomes an entry', async () => {
    await writeFile(join(directory, 'm1.json.tmp'), JSON.stringify(entry).slice(0, 40));
    expect(await journal.read('m1')).toBeNull();
    expect(await journal.open()).toEqual([]);
    expect(await journal.unreadable()).toEqual([]);
    await journal.write(entry);
    expect(await readdir(directory)).toEqual(['m1.json']);
  });

  test('a torn temporary file leaves the entry before it in place', async () => {
    await journal.write(entry);
    await writeFile(join(directory, 'm1.json.tmp'), '{"v":1,');
    expect(await journal.read('m1')).toEqual(entry);
  });

  test.each(['', '{"v":1', '{"v":2}', 'null'])(
    'an entry that reads %j is reported, never taken for none',
    async (text) => {
      await journal.write({ ...entry, migration: 'm2' });
      await writeFile(join(directory, 'm1.json'), text);
      await expect(journal.read('m1')).rejects.toEqual(failure('JOURNAL_FAILED'));
      await expect(journal.write(entry)).rejects.toEqual(failure('JOURNAL_FAILED'));
      await expect(journal.busyWith('other')).rejects.toEqual(failure('JOURNAL_FAILED'));
      expect(await journal.unreadable()).toEqual([failure('JOURNAL_FAILED')]);
      expect(await journal.open()).toHaveLength(1);
    },
  );
});

test('a disk that refuses is JOURNAL_FAILED with the reason', async () => {
  await writeFile(join(directory, '..', 'plain'), '');
  const place = { directory: join(directory, '..', 'plain', 'journal'), host: 'b' };
  await expect(openJournal(place)).rejects.toEqual(failure('JOURNAL_FAILED'));
  await rm(directory, { recursive: true });
  await expect(journal.write(entry)).rejects.toMatchObject({ failure: { details: { reason: 'ENOENT' } } });
});

test('a container is busy with its open migration until that is closed', async () => {
  await journal.write(entry);
  expect(await journal.busyWith('web')).toBe('m1');
  expect(await journal.busyWith('db')).toBeNull();
  await journal.write({ ...entry, closed: true });
  expect(await journal.busyWith('web')).toBeNull();
  expect(await journal.open()).toEqual([]);
});

test('only closed entries that are old enough are dropped', async () => {
  await journal.write({ ...entry, migration: 'open-old' });
  await journal.write({ ...entry, migration: 'closed-old', closed: true });
  await journal.write({ ...entry, migration: 'closed-new', closed: true, updatedAt: Date.now() });
  await journal.prune(60_000);
  expect((await readdir(directory)).sort()).toEqual(['closed-new.json', 'open-old.json']);
});
