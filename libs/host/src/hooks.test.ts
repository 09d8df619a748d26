import { Hook, type HostName } from '@cmt/contracts';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isThere } from './mounts.ts';
import { isAllowed, runHook, variables, type AllowedHooks } from './hooks.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cmt-hook-'));
});
afterEach(() => rm(directory, { recursive: true }));

const host: HostName = 'a';
const context = { id: 'm1', blackoutMs: 12, forced: true, request: { v: 1 }, none: null };

async function script(text: string): Promise<string> {
  const path = join(directory, 'hook');
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o700);
  return path;
}

const run = (argv: string[], more: { allowed?: AllowedHooks; timeoutMs?: number } = {}) =>
  runHook({
    hook: Hook.parse({ name: 'pre-restore', argv, timeoutMs: more.timeoutMs ?? 5000 }),
    ...{ context, host, allowed: more.allowed ?? 'any', signal: new AbortController().signal },
  });

test('a hook gets the migration as JSON and as variables, and its output comes back', async () => {
  const path = await script('cat; echo "$CMT_HOOK $CMT_ID $CMT_BLACKOUT_MS $1" >&2');
  const outcome = await run([path, 'a b']);
  expect(outcome).toMatchObject({ name: 'pre-restore', ok: true, code: 0 });
  const [json, said] = outcome.output.split('\n');
  expect(JSON.parse(json!)).toEqual(context);
  expect(said).toBe('pre-restore m1 12 a b');
});

test('a failing hook, a late one and a missing one are outcomes', async () => {
  expect(await run([await script('echo no; exit 3')])).toMatchObject({ ok: false, code: 3, output: 'no' });
  const late = await run([await script('exec sleep 60')], { timeoutMs: 50 });
  expect(late).toMatchObject({ ok: false, code: null });
  expect(late.output).toContain('killed after 50 ms');
  expect(await run([join(directory, 'absent')])).toMatchObject({ ok: false, code: null });
});

test.each([
  ['sleep 60; true', 'is told to end'],
  ['trap "" TERM; sleep 60 & wait; sleep 60', 'is killed when it does not want to'],
  ['setsid sleep 8 & sleep 60', 'is not waited for in a session of its own'],
])('a hook that is stopped takes its children along: %s %s', async (text) => {
  const stop = new AbortController();
  const argv = [await script(`echo up > ${directory}/up; ${text}`)];
  const hook = Hook.parse({ name: 'pre-restore', argv, timeoutMs: 50_000 });
  const running = runHook({ ...{ hook, context, host, allowed: 'any' }, signal: stop.signal });
  running.catch(() => undefined);
  await expect.poll(() => isThere(`${directory}/up`)).toBe(true);
  const stoppedAt = performance.now();
  stop.abort(new Error('enough'));
  await expect(running).rejects.toThrow('enough');
  // Shorter than any of the sleeps; 1.5 s would do.
  expect(performance.now() - stoppedAt).toBeLessThan(6_000);
});

test('only the tail of a long output is kept', async () => {
  const { output } = await run([
    await script('i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done'),
  ]);
  expect(output).toHaveLength(4096);
  expect(output.endsWith('line 1999')).toBe(true);
});

test('a program that this host does not allow is never started', async () => {
  const path = await script(`touch ${directory}/ran`);
  await expect(run([path], { allowed: ['/usr/bin/true'] })).rejects.toMatchObject({
    failure: { code: 'HOOK_FORBIDDEN', details: { program: path, host } },
  });
  expect(await run([path], { allowed: [path] })).toMatchObject({ ok: true });
});

test.each<[string, AllowedHooks, boolean]>([
  ['/usr/bin/notify', ['/usr/bin/notify'], true],
  ['/usr/bin/../bin/notify', ['/usr/bin/notify'], false],
  ['notify', ['/usr/bin/notify'], false],
  ['anything', 'any', true],
  ['/usr/bin/notify', [], false],
])('%s with %j allowed: %o', (program, allowed, expected) => {
  expect(isAllowed(program, allowed)).toBe(expected);
});

test('variables hold plain values only, and no zero byte', () => {
  expect(variables({ ...context, odd: 'a\0b' })).toEqual({
    CMT_ID: 'm1',
    CMT_BLACKOUT_MS: '12',
    CMT_FORCED: 'true',
    CMT_ODD: 'ab',
  });
});
