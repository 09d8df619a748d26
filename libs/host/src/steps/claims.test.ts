import { expect, test } from 'vitest';
import type { Journal, JournalEntry } from '../journal.ts';
import { claimContainer } from './claims.ts';

/** A journal whose answers take a turn of the event loop, as a disk's do. */
function slowJournal(): Journal & { readonly entries: JournalEntry[] } {
  const entries: JournalEntry[] = [];
  const soon = () => new Promise((resolve) => setImmediate(resolve));
  return {
    entries,
    busyWith: async (container: string) => {
      await soon();
      return entries.find((entry) => entry.container === container)?.migration ?? null;
    },
    write: async (entry: JournalEntry) => {
      await soon();
      entries.push(entry);
    },
  } as unknown as Journal & { readonly entries: JournalEntry[] };
}

const claimOf = (journal: Journal, migration: string, container: string) => {
  const claimant = { journal, migration, config: { name: 'host1' } };
  const entry = { migration, container } as JournalEntry;
  return claimContainer(claimant, { container }, async () => {
    await journal.write(entry);
    return entry;
  });
};

test('of migrations that come at the same moment one gets the container', async () => {
  const journal = slowJournal();
  const asked = ['m1', 'm2', 'm3'].map((migration) => claimOf(journal, migration, 'web'));
  const answers = await Promise.allSettled(asked);
  expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
  expect(answers[1]).toMatchObject({
    reason: { failure: { code: 'CONTAINER_BUSY', details: { other: 'm1' } } },
  });
  expect(journal.entries).toHaveLength(1);
});

test('a claim that fails leaves the container to the next, and another container never waits', async () => {
  const journal = slowJournal();
  const failing = claimContainer(
    { journal, migration: 'm1', config: { name: 'host1' } },
    { container: 'web' },
    () => Promise.reject(new Error('no space')),
  );
  const next = claimOf(journal, 'm2', 'web');
  const elsewhere = claimOf(journal, 'm3', 'db');
  await expect(failing).rejects.toThrow('no space');
  expect(await next).toMatchObject({ migration: 'm2' });
  expect(await elsewhere).toMatchObject({ migration: 'm3' });
});
