/**
 * Target: rsync's end of a files channel. The server process is rsync's daemon over this one stream (rsync(1), "USING
 * RSYNC-DAEMON FEATURES VIA A REMOTE-SHELL CONNECTION") with a configuration whose only module is the session's bundle:
 * write only, and a chroot, so neither an argument nor a symbolic link of the sender leads out of it.
 *
 * INVARIANT: nothing is written or deleted through a mount. rsync would: to `--delete` with `--one-file-system` a bind mount of the
 * same device is a directory like any other. So the server has a mount namespace of its own, which no later mount reaches, and
 * nobody is served where something is mounted in the bundle there or outside.
 */
import { once } from 'node:events';
import { mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { mountsWithin } from '../mounts.ts';
import { start } from '../process.ts';

export const RSYNC_MODULE = 'bundle';

/** For `unshare`: what is mounted outside from now on is not seen inside (mount_namespaces(7)). */
const OWN_MOUNTS = ['--mount', '--propagation', 'private', '--'] as const;

/** An rsync daemon that waits for its client. */
export interface FileServer {
  /** Joins it with a client's stream and resolves when either has ended. Never rejects. */
  serve(stream: Duplex, onBytes: (count: number) => void): Promise<void>;
  /** Stops it and removes its private files. Idempotent. */
  stop(): Promise<void>;
}

/** Starts the server ahead of its client, so that the blackout does not pay for it. */
export async function startFileServer(bundle: string, runDir: string): Promise<FileServer> {
  const directory = await mkdtemp(join(runDir, 'rsync-'));
  await symlink(bundle, join(directory, RSYNC_MODULE));
  const config = join(directory, 'rsyncd.conf');
  await writeFile(config, configuration(directory), { mode: 0o600 });
  const server = ['rsync', '--server', '--daemon', `--config=${config}`, '.'];
  const child = start('unshare', [...OWN_MOUNTS, ...server], {
    stdio: ['pipe', 'pipe', 'pipe'],
    buffer: { stdout: false },
  });
  const gone = child.then(() => undefined);
  const stop = async () => {
    child.kill('SIGTERM');
    await gone;
    await rm(directory, { recursive: true, force: true });
  };
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) {
    await stop();
    throw new Error('rsync was started without streams');
  }
  return {
    serve: async (stream, onBytes) => {
      const toClient = pipeline(stdout, stream, { end: false });
      toClient.catch(() => undefined);
      const refusal = await refusalAtFirstByte(stream, bundle, child.pid ?? 0);
      if (refusal === null) {
        const toServer = pipeline(stream, counter(onBytes), stdin);
        const bothEnded = Promise.allSettled([toServer, toClient]);
        await Promise.race([bothEnded, gone.then(() => Promise.allSettled([toClient]))]);
      } else stream.write(refusal);
      stream.end();
    },
    stop,
  };
}

/**
 * Waits for the client and looks at the mounts then: the server stands ready long before it is used.
 * @returns what the server of a daemon says to a client that it turns away, or null
 */
async function refusalAtFirstByte(stream: Duplex, bundle: string, server: number): Promise<string | null> {
  if (stream.readableLength === 0)
    await Promise.race([once(stream, 'readable'), once(stream, 'close')]).catch(() => []);
  // A server that has ended writes nothing.
  const there = await mountsInside(bundle, server).catch(() => []);
  const inside = new Set([...there, ...(await mountsInside(bundle, 'self'))]);
  return inside.size === 0
    ? null
    : `@ERROR: ${[...inside].join(', ')} is mounted there, nothing is written through a mount\n`;
}

/** Mounts below a bundle. Itself, and its root filesystem, may be mounts of their own (an overlay). */
async function mountsInside(bundle: string, pid: number | 'self'): Promise<string[]> {
  const real = await realpath(bundle).catch(() => null);
  if (real === null) return [];
  return (await mountsWithin(real, pid)).filter((point) => point !== real && point !== join(real, 'rootfs'));
}

/**
 * The module's path is a link beside the configuration because a path may hold what the file's syntax gives a
 * meaning (`%`, a trailing space). Links inside the bundle stay as they are: the chroot confines them.
 */
function configuration(directory: string): string {
  return [
    `log file = ${join(directory, 'log')}`,
    'reverse lookup = no',
    'list = no',
    `[${RSYNC_MODULE}]`,
    `path = ${join(directory, RSYNC_MODULE)}`,
    'use chroot = yes',
    'munge symlinks = no',
    'numeric ids = yes',
    'uid = 0',
    'gid = 0',
    'read only = no',
    'write only = yes',
    '',
  ].join('\n');
}

function counter(onBytes: (count: number) => void): Transform {
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      onBytes(chunk.length);
      done(null, chunk);
    },
  });
}
