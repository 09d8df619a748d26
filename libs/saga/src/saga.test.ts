import type { Failure, StepName } from '@cmt/contracts';
import { HookName, StepName as StepNames } from '@cmt/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cancelRefusal, decide } from './decide.ts';
import { evolve } from './evolve.ts';
import { plan } from './plan.ts';
import { report } from './report.ts';
import type { Saga, Stage } from './state.ts';
import { play, request, type Fault } from '../test/world.ts';

const switching = () => play(request()).sagas.find(({ stage }) => stage === 'switch')!;
const failure = (code: Failure['code']): Failure => ({ code, details: {} });
const hook = (name: HookName) => ({ name, argv: ['/bin/true'] });

describe('a migration', () => {
  it('asks for every step of the plan', () => {
    const { asked, saga } = play(request());
    expect(saga.end).toBe('done');
    expect(asked).toEqual([
      'alpha:inspect',
      'beta:validate',
      'beta:prepare',
      'alpha:sync-files',
      'alpha:freeze-and-dump',
      'alpha:final-sync',
      'beta:restore-and-hold',
      'beta:release',
      'beta:confirm',
      'alpha:retire',
      'alpha:clean',
      'beta:clean',
    ]);
  });

  it('arms the target before it tells the source to freeze', () => {
    expect(decide(switching()).map((command) => 'host' in command && command.host)).toEqual([
      'beta',
      'alpha',
    ]);
  });

  it('runs the same plan with zero rounds where the kernel tracks no dirty pages, and says so', () => {
    const { saga } = play(request());
    expect(saga.rounds).toHaveLength(0);
    expect(saga.roundsNote).toContain('does not track dirty pages');
  });

  it('runs rounds until the predicted blackout fits the budget', () => {
    const { saga, asked } = play(request({ maxDowntimeMs: 160 }), {
      dirtyTracking: true,
    });
    expect(saga.rounds.length).toBeGreaterThan(1);
    expect(asked.filter((step) => step === 'alpha:pre-dump')).toHaveLength(saga.rounds.length);
    expect(saga.roundsNote).toContain('fits the budget');
  });

  it('carries no files when the root filesystem is shared', () => {
    expect(play(request({ sharedRootfs: true })).asked).not.toContain('alpha:sync-files');
  });

  it('stops after validation when only that was asked for', () => {
    const { saga, asked } = play(request({ validateOnly: true }));
    expect(saga.end).toBe('validated');
    expect(asked).toEqual(['alpha:inspect', 'beta:validate']);
  });

  it('stands between dump and restore when a pre-restore hook wants to', () => {
    const { asked, saga } = play(request({ hooks: [hook('pre-restore')] }));
    expect(asked.indexOf('alpha:final-sync')).toBeLessThan(asked.indexOf('beta:restore-and-hold'));
    expect(saga.hooks.map(({ name }) => name)).toEqual(['pre-restore']);
  });

  it('reports the blackout on one clock', () => {
    const { blackout } = report(play(request()).saga, 0);
    expect(blackout).toMatchObject({ totalMs: 100, pauseMs: 5, dumpMs: 40, restoreMs: 41 });
  });

  it('gives no step before the decision more time than asked for, and takes none from what undoes it', () => {
    const faults: Fault[] = [{ step: 'final-sync', times: 1, failure: failure('DUMP_REFUSED') }];
    const limits = (options: Record<string, unknown>) =>
      play(request(options), { faults }).sagas.flatMap((each) =>
        decide(each).flatMap((command) => ('calls' in command ? command.calls : [])),
      );
    for (const { step, timeoutMs } of limits({ stepTimeoutMs: 3000 }))
      expect([step, timeoutMs <= 3000]).toEqual([
        step,
        !['release', 'discard', 'resume', 'clean'].includes(step),
      ]);
    for (const { timeoutMs } of limits({})) expect(timeoutMs).toBeGreaterThan(3000);
  });

  it('names every stage of the plan once', () => {
    const names = plan.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const undone: StepName[] = ['discard', 'resume', 'hook', 'doctor'];
    expect([...names, ...undone].sort()).toEqual(expect.arrayContaining([...StepNames.options].sort()));
  });
});

describe('a failing step', () => {
  const undoOrder = ['beta:discard', 'alpha:resume', 'alpha:clean', 'beta:clean'];

  it.each(['freeze-and-dump', 'final-sync', 'restore-and-hold'] as const)(
    '%s: the target is discarded, then the source resumed, then both cleaned',
    (step) => {
      const { saga, asked } = play(request(), {
        faults: [{ step, times: 9, failure: failure('DUMP_REFUSED') }],
      });
      expect(saga.end).toBe('rolled-back');
      expect(asked.slice(asked.indexOf('beta:discard'))).toEqual(undoOrder);
      expect(saga.decision).toBe('ABORT');
    },
  );

  it('is tried again one epoch later where it may pass', () => {
    const { saga, asked } = play(request(), {
      faults: [{ step: 'restore-and-hold', times: 1, failure: failure('RESTORE_FAILED') }],
    });
    expect(saga.end).toBe('done');
    expect(saga.epoch).toBe(2);
    expect(asked.filter((step) => step === 'alpha:resume')).toHaveLength(1);
  });

  it('of the source is reported as such, not as the broken transfer that the target sees', () => {
    const broken = evolve(switching(), {
      kind: 'leg-ended',
      task: 'restore-and-hold.1.1',
      results: [{ ok: false, step: 'restore-and-hold', failure: failure('TRANSFER_BROKEN'), ms: 1 }],
      at: 1,
    });
    expect(decide(broken)).toMatchObject([{ task: 'freeze-and-dump.1.1' }]);
    const ended = evolve(broken, {
      kind: 'leg-ended',
      task: 'freeze-and-dump.1.1',
      results: [{ ok: false, step: 'freeze-and-dump', failure: failure('DUMP_REFUSED'), ms: 1 }],
      at: 2,
    });
    expect(ended).toMatchObject({ stage: 'abort', failure: { code: 'DUMP_REFUSED' }, retrying: false });
  });

  it('before anything was made is refused without an undo', () => {
    const { saga, asked } = play(request(), {
      faults: [{ step: 'inspect', times: 9, failure: failure('CONTAINER_UNKNOWN') }],
    });
    expect(saga.end).toBe('refused');
    expect(asked).toEqual(['alpha:inspect']);
  });

  it('never resumes what was never frozen', () => {
    const { saga, asked } = play(request(), {
      faults: [{ step: 'prepare', times: 9, failure: failure('TARGET_FULL') }],
    });
    expect(saga.end).toBe('rolled-back');
    expect(asked).not.toContain('alpha:resume');
  });

  it('after the decision leads forward', () => {
    const { saga } = play(request(), {
      faults: [{ step: 'retire', times: 3, failure: failure('INTERNAL') }],
    });
    expect(saga.end).toBe('done');
  });

  it('whose answer is lost after COMMIT leads forward, not back', () => {
    const { saga, asked } = play(request(), { faults: [{ step: 'release', times: 1, lost: true }] });
    expect(saga.end).toBe('done');
    expect(asked).not.toContain('alpha:resume');
  });

  it('waits for the operator when the target cannot be asked and Redis may have lost the decision', () => {
    const faults: Fault[] = [
      { step: 'restore-and-hold', times: 9, failure: failure('RESTORE_REFUSED') },
      { step: 'discard', times: 9, lost: true },
    ];
    expect(play(request(), { faults, unbroken: false }).saga).toMatchObject({
      end: 'needs-operator',
      failure: { code: 'UNDECIDED' },
    });
    expect(play(request(), { faults, unbroken: true }).saga.end).toBe('rolled-back');
  });
});

describe('an operator who says that one side is fenced', () => {
  const undecided: Fault[] = [
    { step: 'restore-and-hold', times: 1, failure: failure('RESTORE_REFUSED') },
    { step: 'discard', times: 1, lost: true },
  ];
  const stuck = { faults: undecided, unbroken: false } as const;
  const after = (asked: readonly string[]) => asked.slice(asked.indexOf('beta:discard') + 1);

  it('target: the source runs on and is cleaned, and the target is asked nothing more', () => {
    const { saga, asked, resolutions } = play(request(), { ...stuck, words: ['target'] });
    expect(saga).toMatchObject({ end: 'rolled-back', fenced: 'target', failure: { code: 'RESOLVED' } });
    expect(after(asked)).toEqual(['alpha:resume', 'alpha:clean']);
    expect(resolutions).toEqual([
      { fenced: 'target', over: false },
      { fenced: 'target', over: true },
    ]);
  });

  it('source: the target is released, confirmed and cleaned, nothing is retired', () => {
    const hooks = [hook('post-restore'), { ...hook('post-restore'), place: 'source' }];
    const { saga, asked, resolutions } = play(request({ hooks }), { ...stuck, words: ['source'] });
    expect(saga).toMatchObject({ end: 'done', fenced: 'source', failure: null });
    expect(saga.hooks).toHaveLength(1);
    expect(after(asked)).toEqual(['beta:release', 'beta:confirm', 'beta:clean']);
    expect(resolutions.map((each) => each?.over)).toEqual([false, true]);
  });

  it('and then finds no copy on the other: the word is taken back, and another can be said', () => {
    const gone: Fault = { step: 'release', times: 1, failure: failure('COPY_GONE') };
    const world = { ...stuck, faults: [...undecided, gone] };
    const waiting = play(request(), { ...world, words: ['source'] });
    expect(waiting.saga).toMatchObject({
      end: 'needs-operator',
      fenced: null,
      failure: { code: 'COPY_GONE' },
    });
    expect(waiting.resolutions).toEqual([{ fenced: 'source', over: false }, null]);
    expect(play(request(), { ...world, words: ['source', 'target'] }).saga.end).toBe('rolled-back');
  });

  it('asks for nothing under an id that was asked for before', () => {
    const faults: Fault[] = [
      { step: 'retire', times: 30, failure: failure('INTERNAL') },
      { step: 'resume', times: 1, failure: failure('COPY_GONE') },
    ];
    const { saga, sagas } = play(request(), { faults, words: ['target', 'source'] });
    expect(saga.end).toBe('done');
    const tasks = (resolutions: number) =>
      sagas
        .filter((each) => each.resolutions === resolutions)
        .flatMap((each) => decide(each).map((command) => ('task' in command ? command.task : '')))
        .filter((task) => task !== '');
    expect(tasks(2).filter((task) => [...tasks(0), ...tasks(1)].includes(task))).toEqual([]);
  });

  it.each(['done', 'rolled-back', 'cancelled', 'refused', 'validated'] as const)(
    'changes nothing in a migration that is %s, or under way',
    (end) => {
      const ended = { ...play(request()).saga, end };
      expect(evolve(ended, { kind: 'resolve', fenced: 'target', at: 1 })).toBe(ended);
      const running = switching();
      expect(evolve(running, { kind: 'resolve', fenced: 'target', at: 1 })).toBe(running);
    },
  );
});

const hostsAsked = (saga: Saga): string[] =>
  decide(saga).flatMap((command) => ('host' in command ? [command.host] : []));

const STAGES = [
  'inspect',
  'validate',
  'prepare',
  'sync-files',
  'switch',
  'confirm',
  'retire',
] as const satisfies Stage[];

describe('a cancel', () => {
  it.each(STAGES)('in %s ends in a named state', (cancelAt) => {
    const { saga, sagas } = play(request(), { cancelAt });
    const before = sagas.find(({ stage }) => stage === cancelAt);
    const late = before !== undefined && cancelRefusal(before) !== null;
    expect(saga.end).toBe(late ? 'done' : 'cancelled');
  });
});

describe('whatever goes wrong', () => {
  const anyFault = fc.record({
    step: fc.constantFrom(...StepNames.options),
    times: fc.integer({ min: 1, max: 3 }),
    what: fc.constantFrom(
      'lost',
      'DUMP_FAILED',
      'RESTORE_REFUSED',
      'STEP_TIMEOUT',
      'HOST_UNREACHABLE',
      'INTERNAL',
      'CONTAINER_DIED',
      'LAZY_PAGES_LOST',
    ),
  });
  const options = fc.record({
    hooks: fc.subarray([...HookName.options]).map((names) => names.map(hook)),
    sharedRootfs: fc.boolean(),
    maxRounds: fc.integer({ min: 0, max: 4 }),
  });

  it('a saga ends, and resumes the source only with ABORT on record', () => {
    fc.assert(
      fc.property(
        fc.array(anyFault, { maxLength: 6 }),
        options,
        fc.option(fc.constantFrom(...STAGES)),
        fc.boolean(),
        fc.array(fc.constantFrom('source' as const, 'target' as const), { maxLength: 2 }),
        (raw, chosen, cancelAt, unbroken, words) => {
          const faults = raw.map(({ step, times, what }): Fault =>
            what === 'lost'
              ? { step, times, lost: true }
              : { step, times, failure: failure(what as Failure['code']) },
          );
          const { saga, sagas } = play(request(chosen), {
            faults,
            dirtyTracking: true,
            unbroken,
            words,
            ...(cancelAt && { cancelAt }),
          });
          expect(saga.end).not.toBeNull();
          for (const each of sagas.filter(({ stage, fenced }) => stage === 'resume' && fenced === null))
            expect(each.decision).toBe('ABORT');
          for (const each of sagas.filter(({ stage }) => stage === 'retire'))
            expect(each.decision).toBe('COMMIT');
          for (const each of sagas.filter(({ fenced }) => fenced !== null))
            expect(hostsAsked(each)).not.toContain(each.request[each.fenced!]);
          for (const [before, after] of sagas.slice(1).map((each, index) => [sagas[index]!, each] as const))
            expect(after.epoch).toBeGreaterThanOrEqual(before.epoch);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
