import { MigrationRequest, type HostName } from '@cmt/contracts';
import { describe, expect, it } from 'vitest';
import { facts, inspection, play, request, survey } from '../test/world.ts';
import { decide } from './decide.ts';
import { evolve } from './evolve.ts';
import { report } from './report.ts';
import { initial, type Saga, type SagaEvent } from './state.ts';

const open: MigrationRequest = MigrationRequest.parse({ ...request(), target: 'auto', place: {} });
const { source: peer } = play(request()).saga;

const lookedUp = (host: HostName): SagaEvent => ({
  ...{ kind: 'looked-up', at: 10, continuityMark: null, placed: { host, why: `${host} is the best` } },
  ...{ source: peer!, target: peer! },
});

/** The answer of the only leg that is asked for. */
function answered(saga: Saga, output: Record<string, unknown>): Saga {
  const [command] = decide(saga);
  if (command?.kind !== 'leg') throw new Error(`no leg at ${saga.stage}`);
  const [{ step }] = command.calls;
  return evolve(saga, {
    kind: 'leg-ended',
    task: command.task,
    at: 20,
    results: [{ ok: true, step, output, ms: 1 }],
  });
}

const inspected = answered(evolve(initial(open, 0), lookedUp('beta')), {
  ...{ inspection, facts: facts('alpha'), findings: [] },
});
const refused = answered(inspected, { survey: { ...survey, rsync: false } });
const asks = (saga: Saga) =>
  decide(saga).map((command) => ('host' in command ? `${command.host} ${command.task}` : command.kind));

describe('a target that is left open', () => {
  it('is the one that was found, in all that follows', () => {
    expect(asks(inspected)).toEqual(['beta validate.1.1']);
    expect(report(inspected, 30)).toMatchObject({
      to: 'beta',
      placement: { why: 'beta is the best', passedOver: [] },
    });
  });

  it('is looked for again when validation refuses, under another epoch, and nothing is inspected twice', () => {
    expect(asks(refused)).toEqual(['look-up']);
    expect(report(refused, 30)).toMatchObject({ to: 'auto', state: 'running', epoch: 2 });
    const next = evolve(refused, lookedUp('gamma'));
    expect(asks(next)).toEqual(['gamma validate.2.1']);
    expect(next.passedOver).toMatchObject([{ host: 'beta', failure: { code: 'VALIDATION_REFUSED' } }]);
    expect(answered(next, { survey }).stage).toBe('prepare');
  });

  it('is looked for again when nobody answers there', () => {
    const lost = (saga: Saga): Saga => {
      const [command] = decide(saga);
      const task = command?.kind === 'leg' ? command.task : '';
      const failure = { code: 'HOST_UNREACHABLE' as const, details: { host: 'beta' } };
      return evolve(saga, { kind: 'leg-lost', task, failure, at: 20 });
    };
    expect(asks(lost(lost(inspected)))).toEqual(['look-up']);
  });

  it('is nobody in the end: refused, with the reason of the last search', () => {
    const failure = { code: 'NO_TARGET' as const, details: {} };
    const end = evolve(refused, { kind: 'look-up-failed', failure, at: 30 });
    expect(end).toMatchObject({ end: 'refused', failure });
  });

  it('is not looked for when the source is what speaks against it', () => {
    const broken = { ...inspected, sourceFacts: { ...facts('alpha'), criuProblem: 'no' } };
    expect(answered(broken, { survey })).toMatchObject({
      end: 'refused',
      failure: { code: 'VALIDATION_REFUSED' },
    });
  });

  it('is not looked for by a request that names its own', () => {
    const named = evolve(initial(request(), 0), { ...lookedUp('beta'), placed: undefined } as SagaEvent);
    const asked = answered(named, { inspection, facts: facts('alpha'), findings: [] });
    expect(answered(asked, { survey: { ...survey, rsync: false } }).end).toBe('refused');
  });

  it('gets as many tries of its hand-over as any other', () => {
    const placed = {
      ...evolve(refused, lookedUp('gamma')),
      stage: 'switch' as const,
      switching: true,
      touched: true,
    };
    const [target] = decide(placed);
    const task = target?.kind === 'leg' ? target.task : '';
    const failure = { code: 'STEP_TIMEOUT' as const, details: {} };
    expect(evolve(placed, { kind: 'leg-lost', task, failure, at: 40 })).toMatchObject({ retrying: true });
  });
});

describe('a limit that is reached', () => {
  const waits = (reason: string): SagaEvent => ({ kind: 'must-wait', reason, ms: 1, at: 5 });
  const waiting = evolve(initial(open, 0), waits('2 at a time'));

  it('is told once, and nothing is begun', () => {
    expect(report(waiting, 6)).toMatchObject({ state: 'queued', waitsFor: '2 at a time' });
    expect(evolve(waiting, waits('2 at a time'))).toBe(waiting);
    expect(asks(waiting)).toEqual(['look-up']);
  });

  it('is no part of how long it took', () => {
    expect(report(evolve(waiting, lookedUp('beta')), 12)).toMatchObject({ state: 'running', totalMs: 2 });
    expect(report(evolve(waiting, lookedUp('beta')), 12).waitsFor).toBeUndefined();
  });

  it('can be left by a cancel', () => {
    expect(evolve(waiting, { kind: 'cancel', reason: 'enough', at: 7 }).end).toBe('cancelled');
  });
});
