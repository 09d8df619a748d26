import { describe, expect, it } from 'vitest';
import { inspection, request } from '../test/world.ts';
import { decide } from './decide.ts';
import { evolve } from './evolve.ts';
import { perhapsBehind } from './perhaps-behind.ts';
import { initial, type Saga, type Stage } from './state.ts';

const at = (stage: Stage, more: Partial<Saga> = {}): Saga => ({
  ...initial(request(), 0),
  ...{ stage, inspection, touched: stage !== 'validate', ...more },
});

/** What a cancel makes of it, step by step, when the hosts do as they are told. */
function undone(begun: Saga): string[] {
  let saga = evolve(begun, { kind: 'cancel', reason: 'enough', at: 1 });
  const asked: string[] = [];
  for (let turn = 0; saga.end === null && turn < 20; turn += 1)
    for (const command of decide(saga))
      if (command.kind === 'settle')
        saga = evolve(saga, { kind: 'settled', epoch: command.epoch, decision: 'ABORT', at: 1 });
      else if (command.kind === 'leg') {
        const [{ step }] = command.calls;
        asked.push(step);
        const output = step === 'discard' ? { decision: 'ABORT' } : { wasFrozen: true, frozenMs: 1 };
        const results = [{ ok: true, step, output, ms: 1 } as const];
        saga = evolve(saga, { kind: 'leg-ended', task: command.task, results, at: 1 });
      } else throw new Error(`asks for ${command.kind}`);
  return asked;
}

describe('a saga of a Redis that may have lost its last writes', () => {
  it.each(['validate', 'prepare', 'sync-files', 'pre-dump'] as const)(
    'at %s: a cancel lets the source run on, which may be frozen',
    (stage) => {
      expect(undone(perhapsBehind(at(stage)))).toContain('resume');
      expect(undone(at(stage))).not.toContain('resume');
    },
  );

  it.each([
    ['that has not looked at its container', at('inspect', { inspection: null })],
    ['that only validates', { ...at('validate'), request: request({ validateOnly: true }) }],
    ['whose container is the target’s', at('retire')],
    ['that is on its way back', at('discard')],
  ])('one %s stays as it is', (_, saga) => {
    expect(perhapsBehind(saga)).toBe(saga);
  });
});
