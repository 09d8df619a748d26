import { expect, test } from 'vitest';
import { readFile } from 'node:fs/promises';
import { beganAt, isAlive, parseStat, spareFromOom, startTimeOf } from './proc.ts';
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

/** CAP_SYS_RESOURCE, bit 24 (capabilities(7)): without it nobody is spared, and nothing else happens. */
const mayLower = async (): Promise<boolean> => {
  const status = await readFile('/proc/self/status', 'utf8');
  return ((BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(status)?.[1] ?? '0'}`) >> 24n) & 1n) === 1n;
};

test('a process is spared when memory runs out, with what it starts, where that may be asked', async () => {
  const own = (await readFile('/proc/self/oom_score_adj', 'utf8')).trim();
  const child = start('sh', ['-c', 'read go; cat /proc/self/oom_score_adj'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await spareFromOom(child.pid!);
  child.stdin!.end('go\n');
  expect((await child).stdout).toBe((await mayLower()) ? '-1000' : own);
  expect((await readFile('/proc/self/oom_score_adj', 'utf8')).trim()).toBe(own);
  await spareFromOom(0);
});
