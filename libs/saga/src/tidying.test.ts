import type { JournalNote, MigrationState, Phase } from '@cmt/contracts';
import { describe, expect, it } from 'vitest';
import { inspection, request } from '../test/world.ts';
import { decide } from './decide.ts';
import { evolve } from './evolve.ts';
import { report } from './report.ts';
import { initial, type Saga } from './state.ts';
import { isTidying, tidied } from './tidying.ts';

const AT = 1_000_000;
const OPEN = { source: true, target: false } as const;

const note = (side: 'source' | 'target', phase: Phase, closed: boolean): JournalNote => ({
  ...{ migration: 'm1', epoch: 1, side, phase, closed, runtime: 'runc', container: 'db' },
  ...{ bundle: '/srv/db', peer: side === 'source' ? 'beta' : 'alpha', network: { kind: 'none' } },
  ...{ frozenAt: null, updatedAt: 1 },
});
const source = (closed: boolean) => note('source', 'RESUMED', closed);
const target = (closed: boolean) => note('target', 'DISCARDED', closed);

const ended = (end: MigrationState): Saga => ({
  ...initial(request(), 0),
  stage: 'end',
  end,
  endedAt: 9,
  inspection,
});

const asked = (saga: Saga) =>
  decide(saga).map((command) => {
    if (command.kind !== 'leg') throw new Error(`asks for ${command.kind}`);
    return { host: command.host, step: command.calls[0].step, task: command.task };
  });
const cleaned = (saga: Saga): Saga =>
  asked(saga).reduce(
    (now, { task }) =>
      evolve(now, {
        ...{ kind: 'leg-ended', task, at: AT },
        results: [{ ok: true, step: 'clean', output: {}, ms: 1 }],
      }),
    saga,
  );

describe('a migration that has ended while a host was away', () => {
  it.each([
    ['done', 'clean'],
    ['rolled-back', 'clean-up'],
    ['cancelled', 'clean-up'],
  ] as const)('%s: the host that is back is cleaned, and no other', (end, stage) => {
    const saga = tidied(ended(end), { source: source(true), target: target(false) });
    expect(saga).toMatchObject({ stage, end: null, cleaned: OPEN });
    expect(isTidying(saga)).toBe(true);
    expect(asked(saga)).toMatchObject([{ host: 'beta', step: 'clean' }]);
  });

  it('asks both where both journals are open', () => {
    const saga = tidied(ended('done'), { source: source(false), target: target(false) });
    expect(asked(saga).map(({ host }) => host)).toEqual(['beta', 'alpha']);
  });

  it.each([
    ['both are closed', 'done', { source: source(true), target: target(true) }],
    ['a host that knows nothing of it has nothing to clean', 'done', { source: null, target: target(true) }],
    ['an operator decides first', 'needs-operator', { source: source(true), target: target(false) }],
    ['nothing was begun', 'refused', { source: null, target: target(false) }],
  ] as const)('is left as it is where %s', (_, end, journals) => {
    const saga = ended(end);
    expect(tidied(saga, journals)).toBe(saga);
  });

  it('keeps its end, for whoever asks meanwhile and afterwards', () => {
    const saga = tidied(ended('rolled-back'), { source: source(true), target: target(false) });
    expect(report(saga, AT).state).toBe('rolled-back');
    const over = cleaned(saga);
    expect(over).toMatchObject({ stage: 'end', end: 'rolled-back' });
    expect(isTidying(over)).toBe(false);
  });

  it('asks under a new name each time: the host remembers how it answered before', () => {
    const open = { source: source(true), target: target(false) };
    const first = tidied(ended('done'), open);
    const second = tidied(cleaned(first), open);
    expect(asked(first)[0]?.task).not.toBe(asked(second)[0]?.task);
  });
});
