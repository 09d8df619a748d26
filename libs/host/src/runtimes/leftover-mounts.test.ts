import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { isThere, mountsWithin } from '../mounts.ts';
import { run } from '../process.ts';
import { unmountWithin } from './leftover-mounts.ts';
import { Runc } from './runc.ts';

const standIns = join(import.meta.dirname, '../../../../test/bin');
const signal = new AbortController().signal;
const limit = { timeoutMs: 5000 };
let directory: string;
let state: string;
let rootfs: string;

/** What a restore that was killed leaves: the root filesystem, bind-mounted in the runtime's state directory. */
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cmt-leftover-'));
  rootfs = join(directory, 'bundle/rootfs');
  state = join(directory, 'runc root/c1');
  await mkdir(join(rootfs, 'etc'), { recursive: true });
  await mkdir(join(state, 'criu-root'), { recursive: true });
  await writeFile(join(rootfs, 'etc/precious'), 'x');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await unmountWithin(directory, signal);
  await rm(directory, { recursive: true, force: true });
});

describe.runIf(process.getuid?.() === 0)('a root filesystem mounted in the state directory', () => {
  beforeEach(async () => {
    await run('mount', ['--bind', rootfs, join(state, 'criu-root')], limit);
    await run('mount', ['-t', 'tmpfs', 'none', join(state, 'criu-root/etc')], limit);
  });

  test('is unmounted, inner mounts first', async () => {
    await unmountWithin(state, signal);
    expect(await mountsWithin(state)).toEqual([]);
    expect(await readFile(join(rootfs, 'etc/precious'), 'utf8')).toBe('x');
  });

  test('survives the destruction of its container', async () => {
    vi.stubEnv('CMT_FAKE_DIR', join(directory, 'fake'));
    vi.stubEnv('PATH', `${standIns}${delimiter}${process.env['PATH'] ?? ''}`);
    await new Runc({ host: 'h1', root: join(directory, 'runc root') }).destroy('c1', signal);
    expect(await isThere(state)).toBe(false);
    expect(await readFile(join(rootfs, 'etc/precious'), 'utf8')).toBe('x');
  });

  test('survives also when it cannot be unmounted: then nothing is deleted', async () => {
    const bin = join(directory, 'bin');
    await mkdir(bin);
    await writeFile(join(bin, 'umount'), '#!/bin/sh\nexit 32\n', { mode: 0o755 });
    vi.stubEnv('CMT_FAKE_DIR', join(directory, 'fake'));
    vi.stubEnv('PATH', [bin, standIns, process.env['PATH'] ?? ''].join(delimiter));
    const runc = new Runc({ host: 'h1', root: join(directory, 'runc root') });
    await expect(runc.destroy('c1', signal)).rejects.toThrow('umount');
    expect(await isThere(join(state, 'criu-root'))).toBe(true);
    vi.unstubAllEnvs();
    await unmountWithin(state, signal);
    expect(await readFile(join(rootfs, 'etc/precious'), 'utf8')).toBe('x');
  });
});

test('a directory that is not there has nothing mounted', async () => {
  await unmountWithin(join(directory, 'none/at/all'), signal);
});
