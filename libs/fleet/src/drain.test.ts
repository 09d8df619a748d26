import { FleetOrder, MigrationRequest, type DrainReport } from '@cmt/contracts';
import { describe, expect, it } from 'vitest';
import { container } from './example-candidates.ts';
import { advanceDrain, beginDrain, requestOfMove, type DrainView } from './drain.ts';
import { isUnderOrder } from './under-order.ts';

const order = (more: Partial<FleetOrder> = {}): FleetOrder =>
  FleetOrder.parse({
    ...{ v: 1, kind: 'drain', id: 'd1', host: 'host1', parallel: 2, deadlineMs: null, requestedAt: 5 },
    ...more,
  });

const FIVE = [
  container('tiny', 1),
  container('big', 900),
  container('mid', 500),
  container('unknown'),
  container('small', 20),
];

const look = (more: Partial<DrainView> = {}): DrainView => ({
  ...{ now: 100, containers: FIVE, busy: [], migrations: {}, holds: true },
  ...more,
});

const moving = ({ moves }: DrainReport): string[] =>
  moves.filter(({ state }) => state === 'moving').map(({ container: id, migration }) => `${id} ${migration}`);
const states = ({ moves }: DrainReport): Record<string, string> =>
  Object.fromEntries(moves.map((move) => [move.container, move.failure?.code ?? move.state]));
const ended = (
  state: 'done' | 'refused' | 'rolled-back' | 'needs-operator',
  code?: 'NO_TARGET' | 'STEP_TIMEOUT',
) => ({
  ...{ state, to: 'host2' },
  failure: code === undefined ? null : { code, details: {} },
});

describe('a drain', () => {
  const first = advanceDrain(beginDrain(order(), 100), look());

  it('begins with the largest risk, as many at a time as allowed', () => {
    expect(moving(first).sort()).toEqual(['big d1-2', 'unknown d1-1']);
    expect(first.state).toBe('running');
  });

  it('begins none anew while they are under way, and asks for the same ones', () => {
    const migrations = { 'd1-1': { state: 'running' as const, to: 'host3', failure: null } };
    const next = advanceDrain(first, look({ migrations }));
    expect(moving(next)).toEqual(moving(first));
    expect(next.moves.find(({ migration }) => migration === 'd1-1')).toMatchObject({ to: 'host3' });
  });

  it('goes on with the next largest when one has left, and keeps why one could not', () => {
    const next = advanceDrain(
      first,
      look({ migrations: { 'd1-1': ended('done'), 'd1-2': ended('refused', 'NO_TARGET') } }),
    );
    expect(states(next)).toMatchObject({ unknown: 'left', big: 'NO_TARGET', mid: 'moving', small: 'moving' });
    expect(moving(next).sort()).toEqual(['mid d1-3', 'small d1-4']);
  });

  it('tries again, last, what may pass, and gives up after three times', () => {
    let now = advanceDrain(
      beginDrain(order({ parallel: 1 }), 100),
      look({ containers: [container('a', 2), container('b', 1)] }),
    );
    const containers = [container('a', 2), container('b', 1)];
    for (const [id, expected] of [
      ['d1-1', 'b d1-2'],
      ['d1-2', 'a d1-3'],
      ['d1-3', 'b d1-4'],
      ['d1-4', 'a d1-5'],
      ['d1-5', 'b d1-6'],
    ] as const) {
      now = advanceDrain(
        now,
        look({ containers, migrations: { [id]: ended('rolled-back', 'STEP_TIMEOUT') } }),
      );
      expect(moving(now)).toEqual([expected]);
    }
    now = advanceDrain(
      now,
      look({ containers, migrations: { 'd1-6': ended('rolled-back', 'STEP_TIMEOUT') } }),
    );
    expect(now).toMatchObject({ state: 'incomplete', endedAt: 100 });
    expect(states(now)).toEqual({ a: 'STEP_TIMEOUT', b: 'STEP_TIMEOUT' });
  });

  it('lets go of what went by itself, and adds what came', () => {
    const next = advanceDrain(first, look({ containers: [...FIVE.slice(0, 2), container('new', 7)] }));
    expect(Object.keys(states(next)).sort()).toEqual(['big', 'new', 'tiny', 'unknown']);
  });

  it('leaves alone what does not run, but not what stands still in a migration of somebody else', () => {
    const containers = [container('off', 1, 'stopped'), container('frozen', 1, 'paused')];
    const next = advanceDrain(beginDrain(order(), 100), look({ containers, busy: ['frozen'] }));
    expect(states(next)).toEqual({ off: 'CONTAINER_NOT_RUNNING', frozen: 'moving' });
  });

  it('begins none after its deadline, and lets those under way end', () => {
    const late = advanceDrain(beginDrain(order({ deadlineMs: 1000 }), 100), look());
    const next = advanceDrain(late, look({ now: 1101 }));
    expect(states(next)).toMatchObject({ big: 'moving', mid: 'DRAIN_LATE' });
    const end = advanceDrain(
      next,
      look({ now: 1102, migrations: { 'd1-1': ended('done'), 'd1-2': ended('done') } }),
    );
    expect(end.state).toBe('incomplete');
  });

  it('stops when the host is opened again', () => {
    const next = advanceDrain(
      first,
      look({ holds: false, migrations: { 'd1-1': ended('done'), 'd1-2': ended('done') } }),
    );
    expect(next.state).toBe('stopped');
    expect(states(next)).toMatchObject({ big: 'left', mid: 'DRAIN_STOPPED' });
  });

  it('of an empty host is done at once; of a silent one it waits to be told', () => {
    expect(advanceDrain(beginDrain(order(), 1), look({ containers: [] })).state).toBe('done');
    expect(advanceDrain(beginDrain(order(), 1), look({ containers: null })).state).toBe('running');
  });
});

describe('a bring-back', () => {
  const moves = [{ container: 'db', runtime: 'runc' as const, from: 'host2' }];
  const back = order({ kind: 'bring-back', id: 'b1', moves });

  it('moves what left, and nothing else', () => {
    const begun = advanceDrain(beginDrain(back, 1), look());
    expect(moving(begun)).toEqual(['db b1-1']);
    expect(advanceDrain(begun, look({ migrations: { 'b1-1': ended('done') } })).state).toBe('done');
  });
});

describe('what an order allows', () => {
  const drain = order({ labels: { zone: 'a' }, force: true });
  const [move] = advanceDrain(beginDrain(drain, 1), look({ containers: [container('db', 1)] })).moves;
  const asked = MigrationRequest.parse(requestOfMove(drain, move!));

  it('is what its moves ask for', () => {
    expect(isUnderOrder(asked, drain)).toBe(true);
  });

  it.each([
    ['another source', { source: 'host9' }],
    ['a target of somebody’s choice', { target: 'evil' }],
    ['no wish', { place: undefined }],
    ['other labels', { place: { labels: {}, avoid: [] } }],
    ['another bundle', { targetBundle: '/etc' }],
    ['a foreign id', { id: 'm-1' }],
    [
      'a hook',
      {
        options: {
          ...asked.options,
          hooks: [{ name: 'pre-freeze', place: 'source', argv: ['/bin/sh'], timeoutMs: 1 }],
        },
      },
    ],
    ['other options', { options: { ...asked.options, force: false } }],
  ] as const)('is not %s', (_, more) => {
    expect(isUnderOrder({ ...asked, ...more } as MigrationRequest, drain)).toBe(false);
  });

  it('of a bring-back is the way back of what it names', () => {
    const back = order({
      kind: 'bring-back',
      id: 'b1',
      moves: [{ container: 'db', runtime: 'runc', from: 'host2' }],
    });
    const [returning] = beginDrain(back, 1).moves;
    const request = MigrationRequest.parse(requestOfMove(back, { ...returning!, migration: 'b1-1' }));
    expect(isUnderOrder(request, back)).toBe(true);
    expect(isUnderOrder({ ...request, container: 'other' }, back)).toBe(false);
    expect(isUnderOrder({ ...request, source: 'host3' }, back)).toBe(false);
    expect(isUnderOrder({ ...request, target: 'host3' }, back)).toBe(false);
  });
});
