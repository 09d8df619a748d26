import type { AgentlessConfig } from '@cmt/contracts';
import type { JournalEntry } from '@cmt/host';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { leaveNothing, untilNotNeeded } from './leaving.ts';

const agentless = (idleMs: number, awayMs: number, root = '/nowhere'): AgentlessConfig => ({
  ...{ sockets: join(root, 'sockets'), home: join(root, 'home'), uid: 0, gid: 0, idleMs, awayMs },
});
const HOUR = 3_600_000;
const journalOf = (entries: { closed: boolean }[]) => ({
  recent: () => Promise.resolve(entries as unknown as JournalEntry[]),
});
const queueOf = (redis: string, legs: object = {}, settled: () => void = () => undefined) => ({
  health: () => ({ ok: true, redis, legs }),
  settleAlone: () => Promise.resolve(settled()),
});

test('goes when nothing was asked of it for a while, and when its client is gone', async () => {
  const idle = untilNotNeeded(agentless(1, HOUR), queueOf('ready'), journalOf([]));
  expect(await idle).toMatch(/nothing was asked/);
  const away = untilNotNeeded(agentless(HOUR, 1), queueOf('reconnecting'), journalOf([{ closed: true }]));
  expect(await away).toMatch(/client is gone/);
});

test('stays while a hand-over is open, and goes once it could be ended without the client', async () => {
  const entries = [{ closed: false }];
  let asked = 0;
  const queue = queueOf('reconnecting', {}, () => {
    asked += 1;
    if (asked === 2) entries.length = 0;
  });
  expect(await untilNotNeeded(agentless(1, 1), queue, journalOf(entries))).toBeTruthy();
  expect(asked).toBe(2);
});

test('leaves nothing behind, unless a hand-over is open', async () => {
  const root = await mkdtemp(join(tmpdir(), 'cmt-leaving-'));
  for (const name of ['sockets', 'home']) await mkdir(join(root, name));
  await leaveNothing(agentless(1, 1, root), journalOf([{ closed: false }]));
  expect((await readdir(root)).sort()).toEqual(['home', 'sockets']);
  await leaveNothing(undefined, journalOf([]));
  await leaveNothing(agentless(1, 1, root), journalOf([{ closed: true }]));
  expect(await readdir(root)).toEqual([]);
  await rm(root, { recursive: true });
});
