import { describe, expect, it } from 'vitest';
import { parseLimits } from './limits.ts';
import { hasLinkLimits, sharesOf, SMALLEST, type Flow } from './shares.ts';

const MIB = 1024 * 1024;
/** `a>b` or, with a cap in MiB/s, `a>b@10`. */
function flows(...typed: string[]): Flow[] {
  return typed.map((text, at) => {
    const [, source = '', target = '', cap] = /^(\w+)>(\w+)(?:@(\d+))?$/.exec(text) ?? [];
    return { id: `m${at}`, source, target, cap: cap === undefined ? null : Number(cap) * MIB };
  });
}
/** In MiB/s, in the order of the flows. */
const share = (limits: Record<string, number>, ...typed: string[]): (number | null)[] => {
  const stored = Object.fromEntries(Object.entries(limits).map(([name, rate]) => [name, String(rate * MIB)]));
  return [...sharesOf(flows(...typed), parseLimits(stored)).values()].map((rate) => rate && rate / MIB);
};

describe('shares of a link', () => {
  it.each([
    ['nobody has set a limit', {}, ['a>b', 'a>c@5'], [null, null]],
    ['one has it all', { bandwidth: 100 }, ['a>b'], [100]],
    ['two get the same', { bandwidth: 100 }, ['a>b', 'a>c'], [50, 50]],
    ['the two ways of a link are two limits', { bandwidth: 100 }, ['a>b', 'b>a'], [100, 100]],
    ['what goes to a host shares as well', { bandwidth: 90 }, ['a>d', 'b>d', 'c>d'], [30, 30, 30]],
    [
      'who asked for less leaves the rest to the others',
      { bandwidth: 100 },
      ['a>b@10', 'a>c', 'a>d'],
      [10, 45, 45],
    ],
    ['who asked for more gets no more', { bandwidth: 100 }, ['a>b@400', 'a>c'], [50, 50]],
    ['a host may have less than the others', { bandwidth: 100, 'bandwidth@c': 20 }, ['a>b', 'a>c'], [80, 20]],
    ['or more', { bandwidth: 100, 'bandwidth@a': 300 }, ['a>b', 'a>c', 'a>d'], [100, 100, 100]],
    [
      'only one host has a limit',
      { 'bandwidth@a': 60 },
      ['a>b', 'a>c', 'b>c@7', 'c>b'],
      [30, 30, null, null],
    ],
    [
      'what the narrowest link leaves free, others use',
      { 'bandwidth@a': 100, 'bandwidth@d': 30 },
      ['a>b', 'a>d', 'c>d', 'a>e'],
      [42.5, 15, 15, 42.5],
    ],
  ] as const)('%s', (_, limits, typed, expected) => expect(share(limits, ...typed)).toEqual(expected));

  it('are never so small that a transfer would seem to stand still', () => {
    const many = flows(...Array.from({ length: 20 }, () => 'a>b'));
    const shares = sharesOf(many, parseLimits({ bandwidth: String(SMALLEST) }));
    expect([...shares.values()]).toEqual(many.map(() => SMALLEST));
  });

  /** Numbers that look random and are the same in every run. */
  const random = (seed: number) => () => (seed = (seed * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;

  it.each(Array.from({ length: 200 }, (_, seed) => seed))(
    'of fleet %i exceed no limit, and waste nothing',
    (seed) => {
      const next = random(seed);
      const host = () => 'abcdef'.charAt(Math.floor(next() * 6));
      const count = 1 + Math.floor(next() * 12);
      const all: Flow[] = Array.from({ length: count }, (_, n) => {
        const cap = next() < 0.3 ? Math.ceil((1 + next() * 40) * MIB) : null;
        return { id: `m${n}`, source: host(), target: host(), cap };
      });
      const limits = parseLimits({
        bandwidth: String(100 * MIB),
        'bandwidth@b': String(Math.ceil((1 + next() * 50) * MIB)),
      });
      const shares = sharesOf(all, limits);
      const used = (way: 'source' | 'target', name: string): number =>
        all.reduce((sum, flow) => sum + (flow[way] === name ? (shares.get(flow.id) ?? 0) : 0), 0);
      const limitOf = (name: string): number => limits.hosts[name]?.bandwidth ?? limits.bandwidth ?? Infinity;
      const isFull = (way: 'source' | 'target', name: string): boolean =>
        used(way, name) > limitOf(name) - count;
      for (const way of ['source', 'target'] as const)
        for (const name of 'abcdef') expect(used(way, name)).toBeLessThanOrEqual(limitOf(name));
      for (const { id, source, target, cap } of all) {
        const rate = shares.get(id) ?? 0;
        expect(rate).toBeLessThanOrEqual(cap ?? Infinity);
        // It may not take more, or a link of its own is full.
        expect(rate === cap || isFull('source', source) || isFull('target', target)).toBe(true);
      }
    },
  );
});

it.each([
  [{}, false],
  [{ out: '3', 'in@a': '2' }, false],
  [{ bandwidth: '1000000' }, true],
  [{ 'bandwidth@a': '1000000' }, true],
] as const)('%j limits links: %s', (stored, has) => expect(hasLinkLimits(parseLimits(stored))).toBe(has));
