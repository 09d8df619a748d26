import { mkdir, mkdtemp, readdir, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { LEG_FRESH_MS, MIGRATION_FRESH_MS, staleness } from './freshness.ts';
import { Ledger } from './ledger.ts';

const Ending = z.object({ n: z.number() });
const Text = z.string();
const DAY_MS = 24 * 3600 * 1000;

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cmt-ledger-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('the ledger', () => {
  it('knows what has ended, also after a restart', async () => {
    const ledger = new Ledger(join(dir, 'new'), Ending);
    expect(await ledger.find('m1_prepare.1.1')).toBeNull();
    await ledger.record('m1_prepare.1.1', { n: 7 });
    expect(await new Ledger(join(dir, 'new'), Ending).find('m1_prepare.1.1')).toEqual({ n: 7 });
  });

  it('forgets what is too old to be fresh, and nothing younger', async () => {
    await new Ledger(dir, Ending).record('old', { n: 1 });
    await writeFile(join(dir, 'older.json'), '{"n":0}');
    const long = new Date(Date.now() - MIGRATION_FRESH_MS - 9 * DAY_MS);
    for (const name of await readdir(dir)) await utimes(join(dir, name), long, long);
    const ledger = new Ledger(dir, Ending);
    await ledger.record('young', { n: 2 });
    expect(await readdir(dir)).toEqual(['00000002.log']);
    expect(await ledger.find('old')).toBeNull();
    expect(await ledger.find('young')).toEqual({ n: 2 });
  });

  it('records many endings at the same time, and finds each', async () => {
    const ledger = new Ledger(dir, Ending);
    const ids = Array.from({ length: 200 }, (_, n) => `m${n}`);
    await Promise.all(ids.map((id, n) => ledger.record(id, { n })));
    for (const known of [ledger, new Ledger(dir, Ending)])
      expect(await Promise.all(ids.map((id) => known.find(id)))).toEqual(ids.map((_, n) => ({ n })));
  });

  it('knows the later of two endings, whichever file they are in', async () => {
    await writeFile(join(dir, 'm1.json'), '{"n":1}');
    expect(await new Ledger(dir, Ending).find('m1')).toEqual({ n: 1 });
    for (const n of [2, 3]) {
      const ledger = new Ledger(dir, Ending);
      await ledger.record('m1', { n: 0 });
      await ledger.record('m1', { n });
      expect(await ledger.find('m1')).toEqual({ n });
      expect(await new Ledger(dir, Ending).find('m1')).toEqual({ n });
    }
  });

  it('leaves out a line that a power cut has torn, and adds nothing behind it', async () => {
    const before = new Ledger(dir, Text);
    for (const id of ['m1', 'm2']) await before.record(id, 'größer');
    const log = join(dir, '00000001.log');
    await truncate(log, (await stat(log)).size - 3);
    const after = new Ledger(dir, Text);
    await after.record('m3', 'kleiner');
    const known = new Ledger(dir, Text);
    expect(await Promise.all(['m1', 'm2', 'm3'].map((id) => known.find(id)))).toEqual([
      'größer',
      null,
      'kleiner',
    ]);
  });

  it('goes on after a write that failed, and leaves the log of another alone', async () => {
    const ledger = new Ledger(dir, Ending);
    expect(await ledger.find('m1')).toBeNull();
    await rm(dir, { recursive: true });
    await expect(ledger.record('m1', { n: 1 })).rejects.toThrow('ENOENT');
    await mkdir(dir);
    await writeFile(join(dir, '00000002.log'), 'm1 {"n":3}');
    await ledger.record('m1', { n: 2 });
    await ledger.close();
    expect(await ledger.find('m1')).toEqual({ n: 2 });
    expect((await readdir(dir)).sort()).toEqual(['00000002.log', '00000003.log']);
  });

  it.each(['../up', 'a/b', '', '.', '.hidden', 'a\0b'])('takes no name like %j', async (id) => {
    await expect(new Ledger(dir, Ending).record(id, { n: 1 })).rejects.toThrow('no name in a ledger');
  });
});

describe('a signed job', () => {
  it('is fresh for its time, and not from the future', () => {
    const now = 100 * DAY_MS;
    expect(staleness(now - LEG_FRESH_MS, LEG_FRESH_MS, now)).toBeNull();
    expect(staleness(now - LEG_FRESH_MS - 1, LEG_FRESH_MS, now)).toBe('it was signed 24 hours ago');
    expect(staleness(now + DAY_MS + 1, LEG_FRESH_MS, now)).toBe('it was signed in the future');
  });
});
