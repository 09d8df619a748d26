import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { start } from '../process.ts';
import { operationsOn } from './operations.ts';

/** Of which one in eight missed it, when nothing was asked again. */
const LOOKS = 60;
let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cmt-operations-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

test('an operation is seen at every look, also while it becomes another program', async () => {
  const runc = join(root, 'runc');
  await writeFile(runc, '#!/bin/sh\nexec "$0" "$@"\n', { mode: 0o755 });
  const child = start(runc, ['--root', root, 'restore', 'c1'], { stdio: 'ignore' });
  try {
    await vi.waitFor(async () => expect(await operationsOn(root, 'c1')).toHaveLength(1));
    let missed = 0;
    for (let look = 0; look < LOOKS; look += 1)
      if ((await operationsOn(root, 'c1')).length === 0) missed += 1;
    expect(missed).toBe(0);
  } finally {
    child.kill('SIGKILL');
    await child;
  }
});
