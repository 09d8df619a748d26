import { expect, test } from 'vitest';
import { lastLogTime, parseLastTime } from './log-time.ts';

test('the last time stamp counts, torn lines and other numbers do not', () => {
  const log =
    '(00.000102) Version\n(00.041234)  12: restored (99.000000)\n(01.500000) Running post-restore scripts\n(02.5';
  expect(parseLastTime(log)).toBe(1500);
  expect(parseLastTime('no stamps here')).toBeNull();
});

test('a log that is not there has no time', async () => {
  expect(await lastLogTime('/nonexistent/restore.log')).toBeNull();
});
