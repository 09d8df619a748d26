import { describe, expect, test } from 'vitest';
import type { MigrationEvent } from '@cmt/contracts';
import type { CopyState, Interval } from '../../apps/lab/src/demo/copies.ts';
import { cells } from './cells.ts';
import { FORGOTTEN, LOST, LOST_WITH_CRIU, judge, mayLoseConnections, type Seen } from './verdict.ts';

const cellNamed = (name: string) => {
  const cell = cells.find((each) => each.name === name);
  if (!cell) throw new Error(`there is no cell ${name}`);
  return cell;
};
const during = (host: string, state: CopyState, from: number, to: number): Interval => ({
  host,
  state,
  from,
  to,
});

const event = (at: number, kind: MigrationEvent['kind'], step: string): MigrationEvent => ({
  ...{ v: 1, migration: 'm', at, host: 'host1', kind, step, text: '' },
});

/** A migration from host1 to host2, struck at 100, healed at 200, ended at 400. */
const moved: Seen = {
  ...{ source: 'host1', target: 'host2', struckAt: 100, healedAt: 200, endedAt: 400 },
  ...{ state: 'done', message: null, connections: [], history: [], leftovers: [], error: null },
  events: [event(90, 'step-started', 'retire'), event(250, 'step-ended', 'retire')],
  copies: { maxRunningAtOnce: 1, minRunnable: 1 },
  intervals: [
    during('host1', 'running', 0, 90),
    during('host2', 'absent', 0, 120),
    during('host1', 'frozen', 90, 150),
    during('host2', 'running', 120, 400),
    during('host1', 'absent', 150, 400),
  ],
};
const stayed: Seen = {
  ...moved,
  state: 'rolled-back',
  intervals: [during('host1', 'running', 0, 400), during('host2', 'absent', 0, 400)],
};
const kill = cellNamed('kill-target-worker:release:during');
const complaintsOf = (cell: typeof kill, seen: Seen): string => judge(cell, seen).complaints.join('\n');

describe('a cell', () => {
  test('is safe when the migration is done, or was rolled back', () => {
    expect(judge(kill, moved)).toMatchObject({ end: 'done', complaints: [], overlap: false, lost: false });
    expect(judge(kill, stayed)).toMatchObject({ end: 'rolled-back', complaints: [] });
  });

  test.each<[string, Partial<Seen>]>([
    ['the fault never struck', { struckAt: null }],
    ['two copies ran', { copies: { maxRunningAtOnce: 2, minRunnable: 1 } }],
    ['no copy could have run', { copies: { maxRunningAtOnce: 1, minRunnable: 0 } }],
    ['had not ended', { state: null }],
    ['it ended as needs-operator', { state: 'needs-operator' }],
    ['expected one running copy on host1', { state: 'rolled-back' }],
    ['left: a mount', { leftovers: ['a mount'] }],
    ['a connection was lost', { connections: ['a connection was lost'] }],
    ['ticks of two copies', { history: ['ticks of two copies'] }],
  ])('fails when %s', (complaint, seen) => {
    expect(complaintsOf(kill, { ...moved, ...seen })).toContain(complaint);
  });

  test('fails when a copy is left frozen beside the running one', () => {
    const left = moved.intervals.map((each) =>
      each.host === 'host1' && each.from === 150 ? { ...each, state: 'frozen' as const } : each,
    );
    expect(complaintsOf(kill, { ...moved, intervals: left })).toContain('frozen on host1');
  });

  test('that is rolled back after the decision fails', () => {
    expect(complaintsOf(cellNamed('kill-target-worker:confirm:during'), stayed)).toContain('expected done');
  });

  test('in which Redis was emptied may be forgotten, as long as a copy is left', () => {
    const emptied = cellNamed('empty-redis:final-sync:during');
    const frozen = [during('host1', 'frozen', 0, 400), during('host2', 'absent', 0, 400)];
    expect(judge(emptied, { ...moved, state: FORGOTTEN, intervals: frozen }).complaints).toEqual([]);
    expect(complaintsOf(kill, { ...moved, state: FORGOTTEN, intervals: frozen })).toContain('forgotten');
  });

  test('takes the time from the end of the fault to the next event as recovery', () => {
    expect(judge(kill, moved).recoveryMs).toBe(50);
    expect(judge(kill, { ...moved, endedAt: 150 }).recoveryMs).toBeNull();
  });
});

describe('a container that is gone', () => {
  const gone: Seen = {
    ...moved,
    state: 'needs-operator',
    copies: { maxRunningAtOnce: 1, minRunnable: 0 },
    intervals: [
      during('host1', 'running', 0, 100),
      during('host2', 'absent', 0, 400),
      during('host1', 'absent', 101, 400),
    ],
  };
  const early = cellNamed('reboot-source:freeze-and-dump:during');

  test('was lost with its host when that was rebooted and held the only copy', () => {
    expect(judge(early, gone)).toMatchObject({ end: LOST, complaints: [], lost: false });
  });

  test('was not, when any other fault struck', () => {
    expect(judge(cellNamed('kill-source-worker:freeze-and-dump:during'), gone)).toMatchObject({ lost: true });
  });

  test('was not, when the other host held a copy', () => {
    const held = [...gone.intervals, during('host2', 'held', 50, 150)].sort((a, b) => a.from - b.from);
    expect(judge(early, { ...gone, intervals: held })).toMatchObject({ lost: true });
  });

  test('was lost with its CRIU when that was killed in a dump, and nobody saw it again', () => {
    const killed = cellNamed('kill-source-criu:freeze-and-dump:during');
    expect(judge(killed, gone)).toMatchObject({ end: LOST_WITH_CRIU, complaints: [], lost: false });
    expect(complaintsOf(killed, { ...gone, state: 'rolled-back' })).toContain('says that the container runs');
    const seenAgain = [...gone.intervals, during('host1', 'frozen', 105, 150)];
    expect(judge(killed, { ...gone, intervals: seenAgain })).toMatchObject({ lost: true });
    expect(judge(cellNamed('kill-source-runc:freeze-and-dump:during'), gone)).toMatchObject({ lost: true });
  });

  test('must not be said to run', () => {
    expect(complaintsOf(early, { ...gone, state: 'rolled-back' })).toContain('says that the container runs');
  });

  test('was lost with the target once it had been confirmed there', () => {
    const late = cellNamed('reboot-target:retire:during');
    const frozenToo: Seen = {
      ...gone,
      intervals: [
        ...[during('host1', 'frozen', 0, 150), during('host2', 'running', 0, 100)],
        ...[during('host2', 'absent', 101, 400), during('host1', 'absent', 151, 400)],
      ],
    };
    expect(judge(late, frozenToo)).toMatchObject({ lost: true });
    expect(judge(late, { ...frozenToo, events: [event(95, 'step-ended', 'confirm')] })).toMatchObject({
      lost: false,
    });
  });
});

describe('connections', () => {
  const restoring = cellNamed('kill-target-criu:restore-and-hold:during');

  test.each([
    [
      'are lost to a CRIU killed while it dumps',
      cellNamed('kill-source-criu:freeze-and-dump:during'),
      moved,
      true,
    ],
    ['outlive any other fault', kill, moved, false],
    ['outlive a CRIU killed behind the gate', restoring, moved, false],
    [
      'need not when it was struck late, after the gate was opened',
      restoring,
      { ...moved, events: [event(95, 'step-started', 'release')] },
      true,
    ],
    [
      'outlive one that was killed before',
      restoring,
      { ...moved, events: [event(105, 'step-started', 'release')] },
      false,
    ],
  ])('%s', (_, cell, seen, may) => {
    expect(mayLoseConnections(cell, seen)).toBe(may);
  });
});
