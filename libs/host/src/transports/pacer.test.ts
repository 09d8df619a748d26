import { expect, it } from 'vitest';
import { Pacer } from './pacer.ts';

const MIB = 1024 * 1024;

/** Milliseconds that so many bytes take when each wait lasts up to so much longer than it should. */
function duration(pacer: Pacer, bytes: number, { from = 0, late = 0 }): number {
  let now = from;
  for (let left = bytes; left > 0;) {
    const piece = Math.min(left, pacer.piece(MIB));
    const wait = pacer.delay(piece, now);
    now += wait > 0 ? wait + late : 0;
    left -= piece;
  }
  return now - from;
}

it.each([
  [0.2, 0],
  [50, 0],
  [50, 1.5],
  [800, 3],
])('%d MiB/s are kept within 5 %%, with waits that last %d ms longer', (rate, late) => {
  const seconds = duration(new Pacer(rate * MIB), 10 * rate * MIB, { late }) / 1000;
  expect(Math.abs(seconds - 10)).toBeLessThan(0.5);
});

it('a rate that changes is kept from then on, and time that was not used does not pile up', () => {
  const pacer = new Pacer(10 * MIB);
  duration(pacer, 10 * MIB, {});
  pacer.rate = 100 * MIB;
  const seconds = duration(pacer, 100 * MIB, { from: 60_000 }) / 1000;
  expect(Math.abs(seconds - 1)).toBeLessThan(0.05);
});

it('no rate, no wait', () => {
  expect(duration(new Pacer(null), 100 * MIB, {})).toBe(0);
});
