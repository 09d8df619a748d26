import { describe, expect, it } from 'vitest';
import { inspection, play, request, survey } from '../test/world.ts';
import { blocking } from './judge.ts';
import { isLazy, LAZY_FROM, lazyFindings } from './restoring.ts';

const able = survey.facts;
const unable = { ...able, features: { ...able.features, lazyPages: false } };
const large = { ...inspection, memory: LAZY_FROM };
const small = { ...inspection, memory: LAZY_FROM - 1 };

const lazy = (restore: string, memory: number, more: object = {}): boolean => {
  const { saga } = play(request({ restore }));
  return isLazy({ ...saga, inspection: { ...inspection, memory }, ...more });
};

describe('a restore', () => {
  it.each([
    ['auto', large.memory, true],
    ['auto', small.memory, false],
    ['complete', large.memory, false],
    ['lazy', small.memory, true],
  ])('%s of %i bytes: lazy is %s', (restore, memory, is) => {
    expect(lazy(restore, memory)).toBe(is);
  });

  it('is complete after rounds, and where the target cannot', () => {
    const { saga } = play(request(), { dirtyTracking: true });
    expect(saga.rounds.length).toBeGreaterThan(0);
    expect(isLazy({ ...saga, inspection: large })).toBe(false);
    expect(lazy('lazy', large.memory, { survey: { ...survey, facts: unable } })).toBe(false);
  });
});

describe('a target that cannot', () => {
  it('is a reason to refuse only where lazy was asked for', () => {
    const of = (restore: string, memory: number) =>
      lazyFindings(request({ restore }).options, { ...inspection, memory }, unable);
    expect(of('auto', large.memory)).toMatchObject([{ code: 'NO_LAZY_PAGES', severity: 'note' }]);
    expect(blocking(of('auto', large.memory), false)).toEqual([]);
    expect(blocking(of('lazy', small.memory), true)).toHaveLength(1);
    expect([of('auto', small.memory), of('complete', large.memory)]).toEqual([[], []]);
    expect(lazyFindings(request({ restore: 'lazy' }).options, large, able)).toEqual([]);
  });
});
