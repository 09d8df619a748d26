import { describe, expect, it } from 'vitest';
import { checkTimes, isDueAt, nextDue, timesBetween } from './schedule-time.ts';

const at = (text: string): number => Date.parse(text);
const nightly = { name: 'nightly', pattern: '0 3 * * *', timeZone: 'UTC' };

describe('checkTimes', () => {
  it.each(['0 3 * * 0', '*/2 * * * * *', '@daily', '0 3 1 */2 *', '30 2 * * mon-fri'])(
    'takes %s',
    (pattern) => {
      expect(() => checkTimes({ ...nightly, pattern }, 0)).not.toThrow();
    },
  );

  it.each([
    '',
    '0 3',
    '0 3 * *',
    '99 3 * * *',
    '0 3 * * funday',
    '@sometimes',
    '0 0 31 2 *',
    '0 3 * * * * *',
  ])('refuses %j', (pattern) => {
    expect(() => checkTimes({ ...nightly, pattern }, 0)).toThrow(
      expect.objectContaining({ failure: expect.objectContaining({ code: 'SCHEDULE_INVALID' }) as unknown }),
    );
  });

  it('refuses a zone that is none', () => {
    expect(() => checkTimes({ ...nightly, timeZone: 'Mars/Base' }, 0)).toThrow("'Mars/Base' is no time zone");
  });
});

describe('nextDue', () => {
  it('is meant in its zone, also over the change of the clocks', () => {
    const berlin = { ...nightly, timeZone: 'Europe/Berlin' };
    expect(nextDue(berlin, at('2026-03-27T12:00Z'))).toBe(at('2026-03-28T02:00Z'));
    expect(nextDue(berlin, at('2026-03-28T12:00Z'))).toBe(at('2026-03-29T01:00Z'));
  });

  it('is later than what it is asked after', () => {
    expect(nextDue(nightly, at('2026-01-01T03:00Z'))).toBe(at('2026-01-02T03:00Z'));
  });
});

describe('isDueAt', () => {
  it('knows its times from others', () => {
    expect(isDueAt(nightly, at('2026-01-01T03:00Z'))).toBe(true);
    expect(isDueAt(nightly, at('2026-01-01T03:00:01Z'))).toBe(false);
    expect(isDueAt(nightly, at('2026-01-01T04:00Z'))).toBe(false);
  });
});

describe('timesBetween', () => {
  it('leaves the first out and counts the last', () => {
    expect(timesBetween(nightly, at('2026-01-01T03:00Z'), at('2026-01-04T03:00Z'))).toBe(3);
    expect(timesBetween(nightly, at('2026-01-01T03:00Z'), at('2026-01-01T23:00Z'))).toBe(0);
  });

  it('does not count for ever', () => {
    expect(timesBetween({ ...nightly, pattern: '* * * * * *' }, 0, at('2026-01-01T00:00Z'))).toBe(100);
  });
});
