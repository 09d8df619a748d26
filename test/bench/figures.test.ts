import { describe, expect, test } from 'vitest';
import { figuresOf, quantile, ratiosOf } from './figures.ts';
import { picture } from './picture.ts';
import type { Measured } from './site.ts';

const move = (blackoutMs: number, more: Partial<Measured> = {}): Measured => ({
  ...{
    blackoutMs,
    gapMs: blackoutMs + 5,
    wireBytes: 110,
    imageBytes: 100,
    criuMs: 50,
    ownMs: 2,
    drainMs: null,
  },
  ...{ lost: null, ...more },
});

describe('figures', () => {
  test('a quantile is one of the numbers; infinity and nothing have none', () => {
    expect(quantile([3, 1, 2], 0.5)).toBe(2);
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(2);
    expect(quantile([1, 2, 3, 4], 0.99)).toBe(4);
    expect(quantile([1], 0)).toBe(1);
    expect(quantile([], 0.5)).toBeNull();
    expect(quantile([Infinity], 0.5)).toBeNull();
  });

  test('a lost run counts as infinite, and is named', () => {
    const lost = move(Infinity, { gapMs: Infinity, lost: 'the connection' });
    const { blackoutMs, lost: names, gapOverBlackoutMs } = figuresOf([move(100), lost, lost]);
    expect(blackoutMs).toEqual({ median: null, p99: null, all: [100, null, null] });
    expect(names).toEqual(['the connection', 'the connection']);
    expect(gapOverBlackoutMs.all).toEqual([5]);
    expect(figuresOf([move(100), move(110), lost]).blackoutMs.median).toBe(110);
  });

  test('ratios are of medians, ours over the others’, and over CRIU’s own time', () => {
    const modes = {
      cmt: figuresOf([move(120)]),
      script: figuresOf([move(480)]),
      'CRIU alone': figuresOf([move(90, { criuMs: 60, ownMs: null })]),
    };
    expect(ratiosOf(modes)).toEqual({
      'cmt / CRIU’s own time': 2,
      'cmt / script': 0.25,
      'cmt / CRIU alone': 1.33,
    });
    expect(modes['CRIU alone'].ownMs).toBeNull();
  });
});

test('a picture has every line, and a place for zero', () => {
  const svg = picture({
    lines: [
      { name: 'cmt', points: [0, 8].map((x) => ({ x, y: 100 + x })) },
      { name: 'a < b', points: [{ x: 8, y: 900 }] },
    ],
    ...{ x: 'MiB/s', y: 'ms', about: 'medians' },
  });
  expect(svg).toContain('a &lt; b');
  expect(svg).toContain('>0</text>');
  expect(svg).not.toMatch(/NaN|Infinity/);
});
