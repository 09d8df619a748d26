/** Labels, limits and orders as they are typed. */
import { describe, expect, it } from 'vitest';
import { parseOrder } from '../fleet-order.ts';
import { parseSettings } from './limits.ts';
import { parseLabels, parseTarget } from './place.ts';

describe('--dst', () => {
  it.each([
    [['host2'], { host: 'host2' }],
    [['host2:/srv/a=b'], { host: 'host2', bundle: '/srv/a=b' }],
    [['auto'], { host: 'auto', place: { labels: {}, avoid: [] } }],
    [['auto:/srv/x'], { host: 'auto', bundle: '/srv/x', place: { labels: {}, avoid: [] } }],
    [['zone=b'], { host: 'auto', place: { labels: { zone: 'b' }, avoid: [] } }],
    [
      ['zone=b,disk=ssd', 'rack=1'],
      { host: 'auto', place: { labels: { zone: 'b', disk: 'ssd', rack: '1' }, avoid: [] } },
    ],
  ])('%j', (typed, target) => expect(parseTarget('--dst', typed)).toEqual(target));

  it.each([
    [['host1', 'host2']],
    [['zone=a', 'host2']],
    [['zone=a', 'zone=b']],
    [['=b']],
    [['zone=a b']],
    [['']],
  ])('%j is refused, naming the flag', (typed) => expect(() => parseTarget('--dst', typed)).toThrow('--dst'));

  it('labels may be empty, and say the same twice', () => {
    expect(parseLabels('--label', ['gpu=', 'zone=a', 'zone=a'])).toEqual({ gpu: '', zone: 'a' });
    expect(parseLabels('--label', [])).toEqual({});
  });
});

describe('limits', () => {
  it.each([
    [[], {}],
    [['set', 'out=3', 'in@host1=4'], { out: 3, 'in@host1': 4 }],
    [['queue=default'], { queue: null }],
    [
      ['bandwidth=1Gbit/s', 'bandwidth@edge=50MiB/s'],
      { bandwidth: 125_000_000, 'bandwidth@edge': 52_428_800 },
    ],
    [['bandwidth=default'], { bandwidth: null }],
  ])('%j', (typed, settings) => expect(parseSettings(typed)).toEqual(settings));

  it.each([
    [['set']],
    [['out']],
    [['out=0']],
    [['out=x']],
    [['bandwidth=3']],
    [['bandwidth=1KiB/s']],
    [['bandwidth@=1MiB/s']],
    [['queue=1MiB/s']],
    [['fleet@host1=3']],
    [['in@=3']],
  ])('%j is refused', (typed) => expect(() => parseSettings(typed)).toThrow('limits'));
});

describe('an order', () => {
  it('has what was typed, and the defaults', () => {
    expect(parseOrder({ parallel: '2' }, 'd-1', 7)).toEqual({
      ...{ v: 1, id: 'd-1', parallel: 2, deadlineMs: null, priority: 'normal', force: false, requestedAt: 7 },
      labels: {},
    });
    const typed = {
      parallel: '4',
      deadline: '30m',
      label: ['zone=b'],
      force: true,
      priority: 'high' as const,
    };
    expect(parseOrder(typed, 'd-1', 7)).toMatchObject({
      parallel: 4,
      deadlineMs: 1_800_000,
      labels: { zone: 'b' },
    });
    expect(parseOrder({ parallel: '2' }).id).toMatch(/^d-[a-z2-7]{10}$/);
  });

  it.each([
    [{ parallel: '0' }, '--parallel'],
    [{ parallel: '65' }, '--parallel'],
    [{ parallel: '2', deadline: 'soon' }, '--deadline'],
    [{ parallel: '2', deadline: '10ms' }, '--deadline'],
    [{ parallel: '2', label: ['zone'] }, '--label'],
  ])('%j is refused, naming the flag', (flags, flag) => expect(() => parseOrder(flags)).toThrow(flag));
});
