import type { MigrationReport } from '@cmt/contracts';
import { describe, expect, test } from 'vitest';
import { complaints, gapDuring, resultOf, type Observed } from './result.ts';

const migration = (id: string, state: MigrationReport['state'] = 'done'): MigrationReport =>
  ({
    ...{ v: 1, id, container: 'redis', from: 'host1', to: 'host2', state, decision: 'COMMIT', step: 'clean' },
    ...{ epoch: 1, rounds: 0, roundsNote: null, blackoutMs: 210, blackout: null, totalMs: 3000 },
    steps: [{ name: 'inspect', host: 'host1', try: 1, ok: true, ms: 12 }],
    ...{ findings: [], hooks: [], failure: null, message: null, remedy: null },
  }) as unknown as MigrationReport;

const good: Observed = {
  migrations: [migration('a'), migration('b')],
  client: {
    ...{
      operations: 1000,
      connectionsLost: 0,
      lostBecause: null,
      wrongValues: 0,
      value: 1000,
      longestGapMs: 250,
    },
    gaps: [
      { at: 1000, ms: 250 },
      { at: 5000, ms: 30 },
    ],
  },
  copies: { copies: { maxRunningAtOnce: 1, minRunnable: 1 }, samples: 10, longestBlindMs: 2, intervals: [] },
  dataIntact: true,
};

describe('the result of a demo', () => {
  test('is the object that programs are promised', () => {
    const done = { from: 'host1', to: 'host2', state: 'done', blackoutMs: 210, totalMs: 3000 };
    const steps = [{ name: 'inspect', ms: 12 }];
    expect(resultOf(good)).toEqual({
      ok: true,
      migrations: [
        { id: 'a', ...done, steps },
        { id: 'b', ...done, steps },
      ],
      client: { operations: 1000, connectionsLost: 0, wrongValues: 0, longestGapMs: 250 },
      copies: { maxRunningAtOnce: 1, minRunnable: 1 },
    });
  });

  test.each([
    ['a migration is missing', { migrations: [migration('a')] }],
    ['a migration was rolled back', { migrations: [migration('a'), migration('b', 'rolled-back')] }],
    ['the connection was lost', { client: { ...good.client, connectionsLost: 1 } }],
    ['a value was lost', { client: { ...good.client, wrongValues: 1 } }],
    ['nothing was counted', { client: { ...good.client, operations: 0 } }],
    ['two copies ran', { copies: { ...good.copies, copies: { maxRunningAtOnce: 2, minRunnable: 1 } } }],
    ['no copy could run', { copies: { ...good.copies, copies: { maxRunningAtOnce: 1, minRunnable: 0 } } }],
    ['data was lost', { dataIntact: false }],
  ])('is not ok when %s', (_, wrong) => {
    expect(complaints({ ...good, ...wrong })).toHaveLength(1);
    expect(resultOf({ ...good, ...wrong }).ok).toBe(false);
  });

  test('finds the gap that belongs to a migration', () => {
    expect(gapDuring(good.client, { from: 900, to: 2000 })).toBe(250);
    expect(gapDuring(good.client, { from: 2000, to: 4000 })).toBe(0);
  });
});
