import { describe, expect, it } from 'vitest';
import { LegWatch } from './leg-watch.ts';

const limits = { pickUpMs: 100, limitMs: 1000, lostAfterMs: 300 };
const waiting = { phase: 'waiting', locked: false } as const;
const run = { phase: 'active', locked: true } as const;
const orphaned = { phase: 'active', locked: false } as const;

describe('a leg counts as lost', () => {
  it('when no worker begins it in time', () => {
    const watch = new LegWatch(limits, 0);
    expect(watch.isLost(waiting, 100)).toBe(false);
    expect(watch.isLost(waiting, 101)).toBe(true);
  });

  it('when its worker does not come back', () => {
    const watch = new LegWatch(limits, 0);
    expect(watch.isLost(run, 200)).toBe(false);
    expect(watch.isLost(orphaned, 300)).toBe(false);
    expect(watch.isLost(orphaned, 600)).toBe(false);
    expect(watch.isLost(orphaned, 601)).toBe(true);
  });

  it('but not when its worker came back meanwhile', () => {
    const watch = new LegWatch(limits, 0);
    watch.isLost(orphaned, 300);
    watch.isLost(run, 500);
    expect(watch.isLost(orphaned, 700)).toBe(false);
  });

  it('when it takes longer than it may', () => {
    expect(new LegWatch(limits, 0).isLost(run, 1001)).toBe(true);
  });
});
