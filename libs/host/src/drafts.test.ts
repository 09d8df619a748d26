import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { forgetDrafts } from './drafts.ts';

let stateDir: string;
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'cmt-drafts-'));
  await mkdir(join(stateDir, 'journal'));
  await mkdir(join(stateDir, 'logs/m1'), { recursive: true });
});
afterEach(() => rm(stateDir, { recursive: true }));

it('takes away drafts, and nothing else', async () => {
  const drafts = ['costs.json.tmp', 'journal/m1.json.tmp', 'journal/m2.json.new'];
  const kept = ['costs.json', 'journal/m1.json', 'logs/m1/runtime.tmp'];
  for (const path of [...drafts, ...kept]) await writeFile(join(stateDir, path), '{}');
  await mkdir(join(stateDir, 'mine.tmp'));
  await forgetDrafts({ stateDir });
  const left = await readdir(stateDir, { recursive: true });
  expect(left.sort()).toEqual(['journal', 'logs', 'logs/m1', 'mine.tmp', ...kept].sort());
});
