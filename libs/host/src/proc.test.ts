import { expect, test } from 'vitest';
import { beganAt, isAlive, parseStat, startTimeOf } from './proc.ts';
import { start } from './process.ts';

const line = (state: string) =>
  `12 (a) b (c)) ${state} ${Array.from({ length: 40 }, (_, n) => n + 4).join(' ')}`;

test('field 22 is found behind any command name; zombies count as gone', () => {
  expect(parseStat(line('S'))).toBe('22');
  expect(parseStat(line('T'))).toBe('22');
  expect(parseStat(line('Z'))).toBeNull();
});

test('a process is alive until it ends, and began when it was started', async () => {
  const before = Date.now();
  const child = start('sleep', ['60'], { stdio: 'ignore' });
  const pid = child.pid!;
  const startTime = (await startTimeOf(pid))!;
  expect(await isAlive({ pid, startTime })).toBe(true);
  expect(await isAlive({ pid, startTime: '1' })).toBe(false);
  expect(Math.abs((await beganAt(startTime)) - before)).toBeLessThan(1000);
  child.kill('SIGKILL');
  await child;
  expect(await isAlive({ pid, startTime })).toBe(false);
  expect(await startTimeOf(0)).toBeNull();
});
