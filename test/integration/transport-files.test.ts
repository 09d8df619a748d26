/** A container's files on their way to another host: real rsync on both ends. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { link, mkdir, readlink, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@cmt/host';
import { afterEach, describe, expect, it } from 'vitest';
import { codeOf, NEVER, startPair, until } from '../support/transfer-pair.ts';
import type { TransferPair } from '../support/transfer-pair.ts';

let pair: TransferPair;
afterEach(() => pair.close());

describe('files', () => {
  it('keep links and modes; what is gone goes; a second pass sees every change', async () => {
    pair = await startPair();
    await pair.expect();
    const at = (name: string) => join(pair.outbox, name);
    await mkdir(at('rootfs/etc'), { recursive: true, mode: 0o710 });
    await writeFile(at('rootfs/etc/a file'), 'first');
    await link(at('rootfs/etc/a file'), at('rootfs/hard'));
    await symlink('/etc/passwd', at('rootfs/absolute'));
    await symlink('../../outside', at('rootfs/upward'));
    await writeFile(join(pair.bundle, 'left over'), '');
    const connection = await pair.links.get('m1', 1, pair.route(), NEVER);
    await connection.syncFiles(pair.outbox, NEVER);

    const there = (name: string) => join(pair.bundle, name);
    expect(await readlink(there('rootfs/absolute'))).toBe('/etc/passwd');
    expect(await readlink(there('rootfs/upward'))).toBe('../../outside');
    expect((await stat(there('rootfs/hard'))).ino).toBe((await stat(there('rootfs/etc/a file'))).ino);
    expect((await stat(there('rootfs/etc'))).mode & 0o777).toBe(0o710);
    await expect(stat(there('left over'))).rejects.toThrow('ENOENT');

    // Same size, same second: only the nanoseconds tell.
    const { mtimeMs } = await stat(at('rootfs/hard'));
    await writeFile(at('rootfs/hard'), 'other');
    await utimes(
      at('rootfs/hard'),
      new Date(),
      new Date(Math.floor(mtimeMs / 1000) * 1000 + ((mtimeMs + 400) % 1000)),
    );
    const { bytes } = await connection.syncFiles(pair.outbox, NEVER);
    expect(readFileSync(there('rootfs/etc/a file'), 'utf8')).toBe('other');
    expect(bytes).toBeGreaterThan(0);
  });

  it('keep to a bandwidth, and to another one from the moment it holds', async () => {
    pair = await startPair();
    await pair.expect();
    const whole = 8_000_000;
    await writeFile(join(pair.outbox, 'large'), randomBytes(whole));
    const connection = await pair.links.get('m1', 1, pair.route(), NEVER);
    connection.bandwidth = 2_000_000;
    const began = performance.now();
    const syncing = connection.syncFiles(pair.outbox, NEVER);
    const arrived = () =>
      readdirSync(pair.bundle).reduce((sum, name) => sum + statSync(join(pair.bundle, name)).size, 0);
    await until(() => arrived() >= 2_000_000);
    const slow = (performance.now() - began) / 1000;
    connection.share = 40_000_000;
    connection.bandwidth = null;
    await syncing;
    const all = (performance.now() - began) / 1000;
    expect(slow).toBeGreaterThan(0.95);
    // The rest would take three more seconds at the first rate, whatever the machine is busy with.
    expect(all - slow).toBeLessThan(2.8);
    expect(statSync(join(pair.bundle, 'large')).size).toBe(whole);
  });

  it('are refused where something is mounted below the bundle, and what is mounted there stays', async () => {
    pair = await startPair();
    await pair.expect();
    const [precious, forgotten] = [join(pair.outbox, '../precious'), join(pair.bundle, 'rootfs/forgotten')];
    await Promise.all([
      mkdir(precious),
      mkdir(join(pair.outbox, 'rootfs')),
      mkdir(forgotten, { recursive: true }),
    ]);
    await writeFile(join(precious, 'file'), 'kept');
    const connection = await pair.links.get('m1', 1, pair.route(), NEVER);
    // The channel is open, and its rsync runs, before anything is mounted.
    await connection.warmUp(NEVER);
    await run('mount', ['--bind', precious, forgotten], { timeoutMs: 5000 });
    try {
      const refused = connection.syncFiles(pair.outbox, NEVER);
      await expect(refused).rejects.toThrow('is mounted there');
      expect(await codeOf(refused)).toBe('FILES_FAILED');
      expect(readFileSync(join(precious, 'file'), 'utf8')).toBe('kept');
    } finally {
      await run('umount', [forgotten], { timeoutMs: 5000 });
    }
    await connection.syncFiles(pair.outbox, NEVER);
    await expect(stat(forgotten)).rejects.toThrow('ENOENT');
  });

  it('of a root filesystem that is a mount come too, those of other mounts do not', async () => {
    pair = await startPair();
    await pair.expect();
    const [rootfs, other] = [join(pair.outbox, 'rootfs'), join(pair.outbox, 'other')];
    await Promise.all([mkdir(rootfs), mkdir(other), mkdir(join(pair.bundle, 'rootfs'))]);
    await writeFile(join(pair.bundle, 'rootfs', 'left over'), '');
    const mounts = [rootfs, other];
    for (const at of mounts) await run('mount', ['-t', 'tmpfs', 'none', at], { timeoutMs: 5000 });
    try {
      await Promise.all([writeFile(join(rootfs, 'in'), 'x'), writeFile(join(other, 'out'), 'x')]);
      const connection = await pair.links.get('m1', 1, pair.route(), NEVER);
      await connection.syncFiles(pair.outbox, NEVER);
    } finally {
      for (const at of mounts) await run('umount', [at], { timeoutMs: 5000 });
    }
    expect(readdirSync(join(pair.bundle, 'rootfs'))).toEqual(['in']);
    expect(readdirSync(join(pair.bundle, 'other'))).toEqual([]);
  });

  it('do not leave the bundle through a link that lies in it', async () => {
    pair = await startPair();
    await pair.expect();
    await mkdir(join(pair.directory, 'outside'));
    await symlink(join(pair.directory, 'outside'), join(pair.bundle, 'rootfs'));
    await mkdir(join(pair.outbox, 'rootfs'));
    await writeFile(join(pair.outbox, 'rootfs', 'file'), 'x');
    const connection = await pair.links.get('m1', 1, pair.route(), NEVER);
    await connection.syncFiles(pair.outbox, NEVER);
    expect(readdirSync(join(pair.directory, 'outside'))).toEqual([]);
    expect(readdirSync(join(pair.bundle, 'rootfs'))).toEqual(['file']);
  });

  it('that cannot be read, or are shared, are a failure of the files', async () => {
    pair = await startPair();
    await pair.expect();
    const connection = await pair.links.get('m1', 1, pair.route(), NEVER);
    expect(await codeOf(connection.syncFiles(join(pair.outbox, 'nowhere'), NEVER))).toBe('FILES_FAILED');
    await pair.expect({ bundle: null });
    const shared = await pair.links.get('m1', 1, pair.route(), NEVER);
    expect(await codeOf(shared.syncFiles(pair.outbox, NEVER))).toBe('FILES_FAILED');
  });

  it('stop when the step is aborted, and leave no process behind', async () => {
    pair = await startPair();
    await pair.expect();
    await writeFile(join(pair.outbox, 'big'), '');
    await truncate(join(pair.outbox, 'big'), 2 ** 30);
    const connection = await pair.links.get('m1', 1, pair.route(), NEVER);
    const mark = `CMT_TEST_MARK=${pair.directory}`;
    process.env['CMT_TEST_MARK'] = pair.directory;
    const stop = new AbortController();
    const syncing = codeOf(connection.syncFiles(pair.outbox, stop.signal));
    await until(() => marked(mark).length > 3);
    stop.abort();
    expect(await syncing).toBe('CANCELLED');
    await until(() => marked(mark).length === 0);
  });
});

/** Living processes that inherited this mark in their environment, orphans too. */
function marked(mark: string): string[] {
  const has = (pid: string): boolean => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(mark);
    } catch {
      return false;
    }
  };
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && has(pid));
}
