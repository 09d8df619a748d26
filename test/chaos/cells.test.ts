import { plan, undoPlan } from '@cmt/saga';
import { describe, expect, test } from 'vitest';
import { cells, choose, partOf, representative } from './cells.ts';
import { faults } from './faults/index.ts';

const rowsIn = (some: typeof cells) => new Set<string>(some.map(({ station }) => station.row.name));
const faultsIn = (some: typeof cells) => new Set<string>(some.map(({ fault }) => fault));

describe('the kill matrix', () => {
  test('has at least 150 cells, each of its own name', () => {
    expect(cells.length).toBeGreaterThanOrEqual(150);
    expect(new Set(cells.map(({ name }) => name)).size).toBe(cells.length);
  });

  test('has every fault, and every row of the plan and of the way back that this kernel passes', () => {
    expect([...faultsIn(cells)].sort()).toEqual(Object.keys(faults).sort());
    const rows = [...plan, ...undoPlan].map(({ name }) => name).filter((name) => name !== 'pre-dump');
    expect(rowsIn(cells)).toEqual(new Set(rows));
  });

  test('strikes before, during and after every row', () => {
    for (const row of rowsIn(cells)) {
      const whens = cells.filter(({ station }) => station.row.name === row).map(({ when }) => when);
      const isUndoHook = ['failed-restore', 'rolled-back'].includes(row);
      expect([row, ...new Set(whens)]).toEqual(
        expect.arrayContaining(isUndoHook ? ['during'] : ['before', 'during', 'after']),
      );
    }
  });

  test('is the sum of its parts', () => {
    const parts = [1, 2, 3].flatMap((part) => partOf(cells, part, 3));
    expect(new Set(parts)).toEqual(new Set(cells));
    expect(parts).toHaveLength(cells.length);
  });

  test('is filtered by names and parts of names', () => {
    expect(choose('kill-coordinator:release:during').map(({ name }) => name)).toEqual([
      'kill-coordinator:release:during',
    ]);
    expect(faultsIn(choose('redis-outage,fill-target'))).toEqual(new Set(['redis-outage', 'fill-target']));
    expect(choose('no-such-fault')).toEqual([]);
  });

  test('has a representative part with every fault and every row', () => {
    const few = representative(cells);
    expect(faultsIn(few)).toEqual(faultsIn(cells));
    expect(rowsIn(few)).toEqual(rowsIn(cells));
    expect(few.length).toBeLessThanOrEqual(30);
  });
});
