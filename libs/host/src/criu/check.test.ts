import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { checkCpuinfo, criuProblem, criuVersion, dumpCpuinfo } from './check.ts';
import { criuFeatures } from './features.ts';

const standIns = join(import.meta.dirname, '../../../../test/bin');
const signal = new AbortController().signal;
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
    expect(await criuFeatures(signal)).toEqual({ dirtyTracking: false, lazyPages: true });
    await writeFile(join(fake, 'criu-features'), 'mem_dirty_track\n');
    expect(await criuFeatures(signal)).toEqual({ dirtyTracking: true, lazyPages: false });
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
