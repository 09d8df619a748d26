import { Limits } from '@cmt/contracts';
import { describe, expect, it } from 'vitest';
import { limitKeys, parseLimits, placesOf } from './limits.ts';

describe('limits', () => {
  it('are the defaults where nobody says otherwise', () => {
    expect(parseLimits({})).toEqual(Limits.parse({}));
    expect(parseLimits({}).out).toBe(2);
  });

  it('are read from what was set, for all hosts and for one', () => {
    expect(parseLimits({ out: '3', 'in@web.1': '5', 'out@web.1': '1', queue: '10' })).toMatchObject({
      ...{ out: 3, in: 2, queue: 10 },
      hosts: { 'web.1': { in: 5, out: 1 } },
    });
  });

  it.each(['0', '-1', 'x', '1.5', '', '1000000'])('%j is no limit: the default holds', (text) => {
    expect(parseLimits({ out: text }).out).toBe(2);
  });

  it.each([
    ['out', true],
    ['in@host1', true],
    ['fleet', true],
    ['queue', true],
    ['fleet@host1', false],
    ['bandwidth', true],
    ['bandwidth@host1', true],
    ['queue@host1', false],
    ['out@', false],
  ])('%s can be set: %s', (name, known) => expect(limitKeys(name)).toBe(known));

  it('are bytes per second where they are about links', () => {
    expect(parseLimits({ bandwidth: '50000000', 'bandwidth@a': '1000000' })).toMatchObject({
      ...{ bandwidth: 50_000_000, hosts: { a: { bandwidth: 1_000_000 } } },
    });
    expect(parseLimits({ bandwidth: '1000' }).bandwidth).toBeNull();
  });

  it('become the places that a migration takes up', () => {
    const limits = parseLimits({ 'out@a': '1', fleet: '9' });
    expect(placesOf(limits, 'a', 'b')).toEqual([
      { key: 'out:a', limit: 1, words: '1 at a time leave a' },
      { key: 'in:b', limit: 2, words: '2 at a time go to b' },
      { key: 'fleet', limit: 9, words: '9 at a time in the fleet' },
    ]);
  });
});
