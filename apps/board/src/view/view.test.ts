import { MigrationReport, type MigrationEvent } from '@cmt/contracts';
import { describe, expect, it } from 'vitest';
import { hostCard, migrationCard } from './cards.ts';
import { shownLog, shownMessage, shownText } from './hidden.ts';
import { withEvent, type Run } from './runs.ts';
import { stripOf } from './strip.ts';
import { timelineOf } from './timeline.ts';

const reportOf = (more: object = {}): MigrationReport =>
  MigrationReport.parse({
    ...{ v: 1, id: 'm-1', container: 'web', from: 'alpha', to: 'beta', state: 'running', step: null },
    ...{
      decision: null,
      epoch: 1,
      rounds: 0,
      roundsNote: null,
      blackoutMs: null,
      blackout: null,
      totalMs: 9,
    },
    ...{ steps: [], findings: [], hooks: [], failure: null, message: null, remedy: null },
    request: {
      ...{ v: 1, id: 'm-1', container: 'web', source: 'alpha', target: 'beta', options: {}, requestedAt: 5 },
    },
    ...more,
  });
const step = (name: string, ms: number, ok = true) => ({ name, host: 'alpha', try: 1, ok, ms });
const blackout = {
  ...{ totalMs: 400, pauseMs: 1, dumpMs: 1, transferMs: 1, filesMs: 1, restoreMs: 1, criuMs: 1, ownMs: 1 },
};

const told = (kind: MigrationEvent['kind'], name: string, host: string, heardAt: number, text = 'done') => ({
  ...{ place: `${heardAt}-0`, heardAt },
  event: { v: 1, migration: 'm-1', at: -1, host, kind, step: name, text } as const,
});
const ran = (...events: ReturnType<typeof told>[]): readonly Run[] =>
  events.reduce<readonly Run[]>(withEvent, []);
const run = (name: string, host: string, from: number, to: number, text?: string) => [
  told('step-started', name, host, from),
  told('step-ended', name, host, to, text),
];

describe('the strip of a migration', () => {
  it('shows the blackout in one piece, as long as it was', () => {
    const steps = [step('inspect', 5), step('freeze-and-dump', 300), step('restore-and-hold', 350)];
    const after = [step('release', 20), step('confirm', 9)];
    const strip = stripOf(reportOf({ steps: [...steps, ...after], blackout, state: 'done' }));
    expect(strip).toEqual([
      { kind: 'step', name: 'inspect', ms: 5 },
      { kind: 'blackout', name: 'blackout', ms: 400 },
      { kind: 'step', name: 'confirm', ms: 9 },
    ]);
  });

  it('ends with what is under way, and shows what failed as such', () => {
    const steps = [step('inspect', 5), step('prepare', 7, false)];
    expect(stripOf(reportOf({ steps, step: 'prepare' })).map(({ kind }) => kind)).toEqual([
      ...['step', 'failed', 'now'],
    ]);
  });
});

describe('runs', () => {
  it('begin and end by Redis’s clock, each on its host', () => {
    const [inspect, clean] = ran(
      ...run('inspect', 'alpha', 10, 30),
      told('step-started', 'clean', 'beta', 40),
    );
    expect(inspect).toMatchObject({ from: 10, to: 30, ok: true });
    expect(clean).toMatchObject({ host: 'beta', from: 40, to: null });
  });

  it('that are begun again were cut off', () => {
    const runs = ran(
      told('step-started', 'prepare', 'beta', 1),
      ...run('prepare', 'beta', 5, 9, 'It is full.'),
    );
    expect(runs).toMatchObject([
      { from: 1, to: 5, ok: null, note: 'begun again' },
      { from: 5, to: 9, ok: false, note: 'It is full.' },
    ]);
  });
});

describe('the timeline', () => {
  const switched = ran(
    ...run('inspect', 'alpha', 0, 100),
    told('step-started', 'restore-and-hold', 'beta', 200),
    ...run('freeze-and-dump', 'alpha', 210, 400),
    told('step-ended', 'restore-and-hold', 'beta', 600),
    ...run('release', 'beta', 610, 650),
  );

  it('ends the blackout with the release, and is exact once the clocks were compared', () => {
    const open = timelineOf(reportOf(), switched);
    expect(open.blackout).toEqual({ from: 210, to: 650, exact: false });
    const known = timelineOf(reportOf({ blackout, blackoutMs: 400, state: 'done' }), switched);
    expect(known.blackout).toEqual({ from: 250, to: 650, exact: true });
  });

  it('tells rows that were skipped from those to come', () => {
    const states = timelineOf(reportOf(), switched).rows.map(({ name, state }) => `${name} ${state}`);
    expect(states).toEqual(
      expect.arrayContaining(['inspect done', 'pre-dump skipped', 'release done', 'confirm to come']),
    );
    expect(states.join()).not.toContain('pre-freeze');
  });

  it('adds the way back; the source stood still until it was resumed', () => {
    const back = ran(
      ...run('freeze-and-dump', 'alpha', 10, 40),
      ...run('restore-and-hold', 'beta', 12, 60, 'It failed.'),
      ...run('discard', 'beta', 70, 80),
      ...run('resume', 'alpha', 90, 95),
    );
    const time = timelineOf(reportOf({ state: 'rolled-back' }), back);
    expect(time.blackout).toEqual({ from: 10, to: 95, exact: false });
    expect(time.rows.filter(({ isUndo }) => isUndo).map(({ name }) => name)).toEqual([
      ...['discard', 'resume', 'clean'],
    ]);
    expect(time.rows.find(({ name }) => name === 'release')?.state).toBe('not reached');
  });

  it('puts durations one after the other when the events are gone', () => {
    const time = timelineOf(
      reportOf({ state: 'done', steps: [step('inspect', 5), step('validate', 7)] }),
      [],
    );
    expect(time).toMatchObject({ placed: false, from: 0, to: 12, blackout: null });
  });
});

describe('what is hidden', () => {
  const failure = {
    code: 'HOOK_FAILED' as const,
    details: { hook: 'pre-freeze', code: 3, output: 'secret\nline' },
    log: 'secret',
  };

  it('is the output of hooks, wherever it is told', () => {
    const sentence = 'Hook pre-freeze failed with 3: secret\nline.';
    expect(shownText({ kind: 'warning', text: sentence })).toMatch(
      /^Hook pre-freeze failed with 3: \(output/,
    );
    expect(shownText({ kind: 'hook', text: 'pre-freeze failed: secret: more' })).not.toContain('secret');
    expect(shownMessage(failure)).not.toContain('secret');
    expect(shownLog(failure)).toBeNull();
  });

  it('is nothing else', () => {
    expect(shownText({ kind: 'note', text: 'alpha: no dirty tracking' })).toBe('alpha: no dirty tracking');
    expect(shownLog({ code: 'DUMP_FAILED', details: {}, log: 'why' })).toBe('why');
  });
});

describe('cards', () => {
  it('of a silent host say since when, to the second', () => {
    const record = {
      ...{ v: 1 as const, labels: {}, cmtVersion: '0.1.0', startedAt: 0, seenAt: 0, containers: [] },
      facts: {
        ...{ name: 'alpha', kernel: '6.1', arch: 'x86_64', criu: null, runtimes: {}, criuProblem: null },
        ...{ features: { dirtyTracking: false, lazyPages: false }, cpus: 1, memoryTotal: 1 },
        ...{ memoryAvailable: 1, imagesFree: 1 },
      },
      endpoint: {
        ...{ address: '::1', sshPort: 22, sshUser: 'root', sshHostKeys: [], receiveSocket: '/s' },
        ...{ receivePort: 1, publicKey: '' },
      },
    };
    const seen = { name: 'alpha', state: 'unreachable' as const, ageMs: 15_400, record };
    const card = hostCard(seen, false, 100_000);
    expect(card).toMatchObject({ silentSince: 85_000, drained: false, problem: 'criu is not installed' });
    expect(hostCard({ ...seen, state: 'online' }, false, 1).silentSince).toBeNull();
    expect(hostCard(seen, true, 1).drained).toBe(true);
  });

  it('of a migration name why it failed', () => {
    const failure = { code: 'SAME_HOST', details: { host: 'alpha' } };
    const card = migrationCard(reportOf({ state: 'refused', failure }));
    expect(card).toMatchObject({ ended: true, failure: { code: 'SAME_HOST' } });
  });
});
