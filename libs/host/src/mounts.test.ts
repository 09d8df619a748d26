import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { isThere, MountedError, mountsWithin, parseMountPoints, removeTree } from './mounts.ts';
import { run } from './process.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cmt-mounts-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

test('mount points are read with their octal escapes', () => {
  const lines =
    '1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:5 / /mnt/a\\040b\\011c rw shared:1 - tmpfs none rw\n';
  expect(parseMountPoints(lines)).toEqual(['/', '/mnt/a b\tc']);
});

test('a tree is removed, its links are not followed, and nothing there is fine', async () => {
  await mkdir(join(root, 'keep'));
  await writeFile(join(root, 'keep', 'file'), 'x');
  await mkdir(join(root, 'gone', 'deep'), { recursive: true });
  await symlink(join(root, 'keep'), join(root, 'gone', 'link'));
  await removeTree(join(root, 'gone'));
  await removeTree(join(root, 'gone'));
  expect(await isThere(join(root, 'gone'))).toBe(false);
  expect(await readFile(join(root, 'keep', 'file'), 'utf8')).toBe('x');
});

const canMount = process.getuid?.() === 0;

describe.runIf(canMount)('with a bind mount inside', () => {
  const options = { timeoutMs: 5000 };

  test('nothing is removed, neither directly nor through a link above', async () => {
    const precious = join(root, 'precious');
    const inside = join(root, 'images', 'criu root #1', 'a\\040b=c');
    await mkdir(precious);
    await writeFile(join(precious, 'file'), 'x');
    await mkdir(inside, { recursive: true });
    await symlink(root, join(root, 'alias'));
    await run('mount', ['--bind', precious, inside], options);
    try {
      expect(await mountsWithin(join(root, 'images'))).toEqual([inside]);
      await expect(removeTree(join(root, 'images'))).rejects.toThrow(MountedError);
      await expect(removeTree(join(root, 'alias', 'images'))).rejects.toThrow(MountedError);
      await expect(removeTree(inside)).rejects.toThrow(MountedError);
    } finally {
      await run('umount', [inside], options);
    }
    expect(await readFile(join(precious, 'file'), 'utf8')).toBe('x');
    await removeTree(join(root, 'images'));
  });

  test('what is mounted after the look is not deleted', async () => {
    const precious = join(root, 'precious');
    const inside = join(root, 'images', 'inside');
    for (const dir of [precious, inside, join(root, 'bin')]) await mkdir(dir, { recursive: true });
    await writeFile(join(precious, 'file'), 'x');
    await writeFile(join(inside, 'file'), 'x');
    // An rm that takes its time.
    await run('mkfifo', [join(root, 'begun'), join(root, 'go')], options);
    const slow = `#!/bin/sh\necho >${root}/begun\ncat ${root}/go\nexec /bin/rm "$@"\n`;
    await writeFile(join(root, 'bin', 'rm'), slow, { mode: 0o700 });
    vi.stubEnv('PATH', `${root}/bin:${process.env.PATH ?? ''}`);
    const removal = removeTree(join(root, 'images'));
    await readFile(join(root, 'begun'));
    await run('mount', ['--bind', precious, inside], options);
    try {
      await writeFile(join(root, 'go'), '');
      await removal;
    } finally {
      vi.unstubAllEnvs();
      // Its mount point is gone, and the mount with it.
      if (await isThere(join(inside, 'file'))) await run('umount', [inside], options);
    }
    expect(await readFile(join(precious, 'file'), 'utf8')).toBe('x');
    expect(await isThere(join(root, 'images'))).toBe(false);
  });
});
