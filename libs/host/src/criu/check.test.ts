import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { checkCpuinfo, criuProblem, criuVersion, dumpCpuinfo } from './check.ts';
import { tryRun } from '../process.ts';
import { criuFeatures } from './features.ts';

const standIns = join(import.meta.dirname, '../../../../test/bin');
const signal = new AbortController().signal;
const unified = (): Promise<boolean> => Promise.resolve(true);
let fake: string;

beforeEach(async () => {
  fake = await mkdtemp(join(tmpdir(), 'cmt-criu-check-'));
  vi.stubEnv('CMT_FAKE_DIR', fake);
  vi.stubEnv('PATH', `${standIns}${delimiter}${process.env['PATH'] ?? ''}`);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(fake, { recursive: true, force: true });
});

describe('a host with criu', () => {
  test('tells version, no problem, and features', async () => {
    expect(await criuVersion(signal)).toBe('4.2.1');
    expect(await criuProblem(signal)).toBeNull();
    expect(await criuFeatures(signal, unified)).toEqual({ dirtyTracking: false, lazyPages: true });
    await writeFile(join(fake, 'criu-features'), 'mem_dirty_track\n');
    expect(await criuFeatures(signal, unified)).toEqual({ dirtyTracking: true, lazyPages: false });
  });

  test('has no lazy pages where a container cannot be killed as a whole', async () => {
    const features = await criuFeatures(signal, () => Promise.resolve(false));
    expect(features.lazyPages).toBe(false);
  });

  test('takes away what a killed worker left, and nothing that is in use', async () => {
    const [left, mine] = [`cmt-criu-${await idOfTheDead()}-x`, `cmt-criu-${process.pid}-y`];
    const [abandoned, used] = [join(fake, left), join(fake, mine)];
    vi.stubEnv('TMPDIR', fake);
    await Promise.all([mkdir(abandoned), mkdir(used)]);
    await dumpCpuinfo(signal);
    const names = await readdir(fake);
    expect(names).not.toContain(left);
    expect(names).toContain(mine);
  });

  test('names the first problem without its place in the source', async () => {
    await writeFile(join(fake, 'fail-criu-check'), 'System call kcmp is not supported');
    expect(await criuProblem(signal)).toBe('System call kcmp is not supported');
  });

  test('compares its CPU with an image from elsewhere', async () => {
    const image = await dumpCpuinfo(signal);
    expect(image.toString()).toContain('cpu of the stand-in');
    expect(await checkCpuinfo(image, signal)).toBeNull();
    await writeFile(join(fake, 'fail-cpuinfo-check'), 'cpu: CPU capabilities do not match run time');
    expect(await checkCpuinfo(image, signal)).toBe('cpu: CPU capabilities do not match run time');
  });
});

test('a host without criu has no version and no features', async () => {
  const empty = join(fake, 'empty');
  await mkdir(empty);
  vi.stubEnv('PATH', empty);
  expect(await criuVersion(signal)).toBeNull();
  expect(await criuFeatures(signal)).toEqual({ dirtyTracking: false, lazyPages: false });
});

/** The id of a process that has ended. */
async function idOfTheDead(): Promise<string> {
  const { stdout } = await tryRun('sh', ['-c', 'echo $$'], { timeoutMs: 5_000 });
  return stdout.trim();
}
