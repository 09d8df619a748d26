import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  hasSeccompListener,
  isWithin,
  mountsFromOutside,
  readBundleConfig,
  rootfsOf,
  type BundleConfig,
} from './bundle-config.ts';

let bundle: string;
beforeEach(async () => {
  bundle = await mkdtemp(join(tmpdir(), 'cmt bundle-'));
});
afterEach(() => rm(bundle, { recursive: true, force: true }));

const config: BundleConfig = {
  root: { path: 'rootfs' },
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc' },
    { destination: '/inside', type: 'bind', source: 'volumes/a' },
    { destination: '/also-inside', source: '/b/volumes', options: ['rbind', 'ro'] },
    { destination: '/outside', type: 'bind', source: '/srv/data' },
    { destination: '/sibling', type: 'none', source: '/b-other', options: ['bind'] },
    { destination: '/up', type: 'bind', source: '../shared' },
  ],
};

test('bind mounts from outside the bundle, and only those', () => {
  expect(mountsFromOutside(config, '/b')).toEqual([
    { source: '/srv/data', destination: '/outside' },
    { source: '/b-other', destination: '/sibling' },
    { source: '/shared', destination: '/up' },
  ]);
});

test('the root filesystem is relative to the bundle or absolute', () => {
  expect(rootfsOf(config, '/b')).toBe('/b/rootfs');
  expect(rootfsOf({ root: { path: '/var/lib/x' } }, '/b')).toBe('/var/lib/x');
});

test('within means at or below, not beside', () => {
  expect(['/a/b', '/a/b/', '/a/b/c/d'].map((path) => isWithin(path, '/a/b'))).toEqual([true, true, true]);
  expect(['/a', '/a/bc', '/a/b/../c', 'a/b'].map((path) => isWithin(path, '/a/b'))).toEqual([
    false,
    false,
    false,
    false,
  ]);
});

test('a listener for system calls, by path or by action', () => {
  expect(hasSeccompListener({})).toBe(false);
  expect(
    hasSeccompListener({ linux: { seccomp: { defaultAction: 'SCMP_ACT_ERRNO', syscalls: null } } }),
  ).toBe(false);
  expect(hasSeccompListener({ linux: { seccomp: { listenerPath: '/run/l' } } })).toBe(true);
  expect(hasSeccompListener({ linux: { seccomp: { syscalls: [{ action: 'SCMP_ACT_NOTIFY' }] } } })).toBe(
    true,
  );
});

test.each([
  ['no config.json', null, /ENOENT/],
  ['no JSON', '{', /JSON/],
  ['another shape', '{"mounts":[{"source":7}]}', /mounts/],
])('%s is BUNDLE_INVALID', async (_, text, problem) => {
  if (text !== null) await writeFile(join(bundle, 'config.json'), text);
  await expect(readBundleConfig('berlin', bundle)).rejects.toMatchObject({
    failure: {
      code: 'BUNDLE_INVALID',
      details: { host: 'berlin', bundle, problem: expect.stringMatching(problem) as string },
    },
  });
});
