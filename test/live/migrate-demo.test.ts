/** The demo tells the truth in the promised form, and leaves nothing behind, also when it is interrupted; or keeps its lab, as asked. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { start, tryRun } from '@cmt/host';
import { labDown, labLs } from '@cmt/lab';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { cmt } from '../support/cmt.ts';

const demo = join(import.meta.dirname, '../../dist/demo.js');
const ms = z.number().min(0);
const Promised = z.strictObject({
  ok: z.literal(true),
  migrations: z
    .array(
      z.strictObject({
        ...{ id: z.string(), from: z.string(), to: z.string(), state: z.literal('done') },
        ...{ blackoutMs: ms, totalMs: ms },
        steps: z.array(z.strictObject({ name: z.string(), ms })).min(10),
      }),
    )
    .length(2),
  client: z.strictObject({
    ...{ operations: z.int().min(1), longestGapMs: ms },
    ...{ connectionsLost: z.literal(0), wrongValues: z.literal(0) },
  }),
  copies: z.strictObject({ maxRunningAtOnce: z.literal(1), minRunnable: z.literal(1) }),
});

async function expectNothingLeft(): Promise<void> {
  expect((await labLs()).filter(({ name }) => name === 'demo')).toEqual([]);
  const traces = [await readdir('/run/netns'), await readdir(tmpdir())].flat();
  expect(traces.filter((name) => name.startsWith('cmt-demo'))).toEqual([]);
  const { stdout } = await tryRun('ps', ['-eo', 'args='], { timeoutMs: 10_000 });
  expect(
    stdout.split('\n').filter((args) => /cmt-demo|witness-process demo|dist\/demo\.js/.test(args)),
  ).toEqual([]);
}

test('it moves Redis there and back and loses nothing', { timeout: 240_000 }, async () => {
  const { code, stdout, stderr } = await tryRun(process.execPath, [demo, '--json'], { timeoutMs: 200_000 });
  expect(JSON.parse(stdout), stdout.slice(0, 2000)).toMatchObject({ ok: true });
  expect(Promised.parse(JSON.parse(stdout)).migrations.map(({ from, to }) => [from, to])).toEqual([
    ['host1', 'host2'],
    ['host2', 'host1'],
  ]);
  expect([code, stderr]).toEqual([0, '']);
  await expectNothingLeft();
});

test('it takes its lab down when it is interrupted', { timeout: 120_000 }, async () => {
  const child = start(process.execPath, [demo], { stdio: ['ignore', 'pipe', 'pipe'] });
  if (!child.stdout) throw new Error('the demo has no standard output');
  let story = '';
  while (!story.includes('one TCP connection')) story += String((await once(child.stdout, 'data'))[0]);
  expect(existsSync('/var/lib/cmt/lab/demo')).toBe(true);
  child.kill('SIGINT');
  expect((await child).exitCode).toBe(130);
  await expectNothingLeft();
});

// It is the lab of whoever names none: one that is up already is somebody's.
const isTaken = (await labLs()).some(({ name }) => name === 'lab');

test.skipIf(isTaken)(
  'with --keep it tells how to go on by hand, and all of that works',
  { timeout: 400_000 },
  async () => {
    const home = await mkdtemp(join(tmpdir(), 'cmt-kept-'));
    try {
      const env = { HOME: home, XDG_CONFIG_HOME: `${home}/config`, XDG_STATE_HOME: `${home}/state` };
      const kept = await tryRun(process.execPath, [demo, '--keep'], { timeoutMs: 200_000, env });
      expect([kept.code, kept.stderr]).toEqual([0, '']);
      const told = kept.stdout.match(/(?<=^ {4}bin\/cmt ).*$/gm) ?? [];
      expect(told.at(-1)).toBe('lab down');
      for (const words of told) {
        const { code, stderr } = await cmt(words.split(' '), { home });
        expect([words, code], stderr).toEqual([words, 0]);
      }
      expect((await labLs()).filter(({ name }) => name === 'lab')).toEqual([]);
    } finally {
      await labDown({ name: 'lab' });
      await rm(home, { recursive: true, force: true });
    }
  },
);
