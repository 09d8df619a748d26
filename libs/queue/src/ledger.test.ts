import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { LEG_FRESH_MS, MIGRATION_FRESH_MS, staleness } from './freshness.ts';
import { Ledger } from './ledger.ts';

const Ending = z.object({ n: z.number() });
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
    const long = new Date(Date.now() - MIGRATION_FRESH_MS - 9 * DAY_MS);
    await utimes(join(dir, 'old.json'), long, long);
    await new Ledger(dir, Ending).record('young', { n: 2 });
    expect(await readdir(dir)).toEqual(['young.json']);
  });

  it('records many endings at the same time as it forgets the old ones', async () => {
    const ledger = new Ledger(dir, Ending);
    const ids = Array.from({ length: 200 }, (_, n) => `m${n}`);
    await Promise.all(ids.map((id, n) => ledger.record(id, { n })));
    expect((await readdir(dir)).sort()).toEqual(ids.map((id) => `${id}.json`).sort());
  });

  it.each(['../up', 'a/b', '', '.', '.hidden', 'a\0b'])('takes no name like %j', async (id) => {
    await expect(new Ledger(dir, Ending).record(id, { n: 1 })).rejects.toThrow('no name for a file');
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
