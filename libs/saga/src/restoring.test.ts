import type { Failure } from '@cmt/contracts';
import { describe, expect, it } from 'vitest';
import { inspection, play, request, survey } from '../test/world.ts';
import { blocking } from './judge.ts';
import { call } from './calls.ts';
import { isSending, report } from './report.ts';
import { isLazy, LAZY_FROM, lazyFindings, pagesFollow } from './restoring.ts';
import type { Saga } from './state.ts';

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

describe('post-copy', () => {
  const { saga } = play(request({ mode: 'post-copy' }), { dirtyTracking: true });

  it('has no rounds, and both sides know that pages follow', () => {
    expect(saga.rounds).toEqual([]);
    expect(saga.roundsNote).toBe('no pre-dump rounds: --mode post-copy');
    expect(call('freeze-and-dump', saga).input).toMatchObject({ postCopy: true });
    expect(call('restore-and-hold', saga).input).toMatchObject({ postCopy: true, lazy: true });
  });

  it('is waited for until its memory has come', () => {
    const large = { ...inspection, memory: 1e12 };
    const limit = (mode: string) =>
      call('confirm', { ...play(request({ mode })).saga, inspection: large }).timeoutMs;
    expect(limit('post-copy')).toBeGreaterThan(limit('stop-and-copy') + 1e7);
  });

  it('takes of the links until its last page has come', () => {
    const after = (stage: Saga['stage'], more: Partial<Saga> = {}): Saga => ({
      ...saga,
      end: null,
      stage,
      ...more,
    });
    expect(report(after('confirm'), 0)).toMatchObject({ state: 'committed', pagesFollow: true });
    expect([after('release'), after('confirm')].map(isSending)).toEqual([true, true]);
    const none = [after('retire'), after('abort'), after('release', { fenced: 'source' }), saga];
    expect(none.map(isSending)).toEqual(none.map(() => false));
    expect([after('switch')].map((each) => [isSending(each), pagesFollow(each)])).toEqual([[true, false]]);
    const complete = {
      ...play(request({ mode: 'stop-and-copy' })).saga,
      end: null,
      stage: 'confirm',
    } as const;
    expect(isSending(complete)).toBe(false);
    expect(report(complete, 0)).not.toHaveProperty('pagesFollow');
  });

  it('is predicted without the memory', () => {
    const predicted = (mode: string) => play(request({ mode })).saga.predicted?.totalMs ?? 0;
    expect(predicted('post-copy')).toBeLessThan(predicted('stop-and-copy'));
  });

  it.each([
    ['hybrid', { mode: 'hybrid' }, true],
    ['a policy', { maxDowntimeMs: 1, onNoConvergence: 'post-copy' }, true],
    ['a policy, without dirty tracking', { maxDowntimeMs: 1, onNoConvergence: 'post-copy' }, false],
  ])('is what %s ends in', (_, options, dirtyTracking) => {
    const { saga: other } = play(request(options), { dirtyTracking });
    expect([other.end, other.rounds.length > 0]).toEqual(['done', dirtyTracking]);
    const rounds = other.rounds.length;
    expect(call('freeze-and-dump', other).input).toMatchObject({ postCopy: true, rounds });
    expect(call('restore-and-hold', other).input).toMatchObject({ postCopy: true, lazy: true });
  });

  it('is what a policy ends in only where the budget does not fit', () => {
    const options = { maxDowntimeMs: 60_000, onNoConvergence: 'post-copy' };
    for (const dirtyTracking of [true, false])
      expect(play(request(options), { dirtyTracking }).saga).not.toHaveProperty('postCopy');
  });

  it('is decided anew by another try', () => {
    const failure: Failure = {
      code: 'TRANSFER_BROKEN',
      details: { host: 'alpha', peer: 'beta', bytes: 0, reason: '' },
    };
    const faults = [{ step: 'freeze-and-dump' as const, times: 1, failure }];
    const { saga: other, sagas } = play(request({ mode: 'hybrid' }), { dirtyTracking: true, faults });
    expect([other.end, other.epoch]).toEqual(['done', 2]);
    expect(sagas.find(({ epoch, stage }) => epoch === 2 && stage === 'prepare')).toMatchObject({
      postCopy: false,
    });
    expect(other.postCopy).toBe(true);
  });

  it('is asked of nobody in any other mode', () => {
    const { saga: other } = play(request());
    expect(call('freeze-and-dump', other).input).not.toHaveProperty('postCopy');
    expect(call('restore-and-hold', other).input).not.toHaveProperty('postCopy');
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
