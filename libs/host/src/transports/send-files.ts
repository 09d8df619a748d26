/**
 * Source: carries a directory to the target's bundle with rsync over a channel. It is kept to its rate where its bytes pass, not by its own
 * `--bwlimit`, which no longer changes once it has begun.
 *
 * Modification times are compared to the nanosecond (`--modify-window=-1`): by default rsync compares whole seconds, and a
 * file written twice within one, same size, would stay as it was after the first pass.
 */
import { lstat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { start } from '../process.ts';
import type { Bandwidth } from './bandwidth.ts';
import { within } from './limits.ts';
import { Pacer } from './pacer.ts';
import { RSYNC_MODULE } from './receive-files.ts';

/**
 * What rsync takes for a remote shell: it joins its own standard streams with the channel on descriptor 3. It ends at
 * once and leaves the two copiers behind, because rsync looks for the end of its remote shell only every 20 ms.
 */
const REMOTE_SHELL = `sh -c 'exec 4<&0; cat <&4 >&3 & cat <&3 &'`;

/** Some files vanished while they were read: not a failure while the container runs, and impossible while it is frozen. */
const VANISHED = 24;

/** For the target's last words after rsync has ended well. */
const GOODBYE_MS = 1000;

/** Seconds without a byte until rsync gives up. */
const STALL_SECONDS = 60;

const OPTIONS = [
  '-aHAXS',
  '--relative',
  '--numeric-ids',
  '--delete',
  '--one-file-system',
  '--modify-window=-1',
  '--stats',
  `--timeout=${STALL_SECONDS}`,
  '--no-human-readable',
  `--rsh=${REMOTE_SHELL}`,
];

export interface FilesSent {
  readonly ok: boolean;
  /** Bytes that rsync sent. */
  readonly bytes: number;
  /** Why it failed, in rsync's words. */
  readonly reason: string;
}

/** Runs one pass over an open files channel, which ends with it. Aborting kills rsync. */
export async function sendFiles(
  stream: Duplex,
  { directory, bandwidth }: { readonly directory: string; readonly bandwidth: Bandwidth },
  signal: AbortSignal,
): Promise<FilesSent> {
  const child = start(
    'rsync',
    [...OPTIONS, '--', ...(await sourcesOf(directory)), `target::${RSYNC_MODULE}/`],
    {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      buffer: { fd3: false },
      env: { LC_ALL: 'C' },
      signal,
    },
  );
  const joint = child.stdio[3] as unknown as Duplex;
  const joined = Promise.allSettled([pipeline(joint, paced(bandwidth), stream), pipeline(stream, joint)]);
  // The copiers end when the target does; they must not outlive a client that failed.
  child.once('exit', (code) => setTimeout(() => joint.destroy(), code === 0 ? GOODBYE_MS : 0));
  const { exitCode, stdout, stderr } = await child;
  // ssh2 tells of a channel's close only when all of it was read.
  stream.resume();
  stream.destroy();
  await within(joined, { ms: GOODBYE_MS }).catch(() => undefined);
  const ok = exitCode === 0 || exitCode === VANISHED;
  return { ok, bytes: sentBytes(String(stdout)), reason: ok ? '' : reasonOf(String(stderr), exitCode) };
}

/**
 * The bundle, and its root filesystem too where that is a mount of its own (an overlay): `--one-file-system` leaves out every other
 * mount. What follows `/./` is the path on the target (rsync(1), `--relative`).
 */
async function sourcesOf(directory: string): Promise<string[]> {
  const bundle = `${resolve(directory)}/./`;
  const [outer, rootfs] = await Promise.all([deviceOf(directory), deviceOf(join(directory, 'rootfs'))]);
  return rootfs !== null && rootfs !== outer ? [bundle, `${bundle}rootfs/`] : [bundle];
}

/** Device of a directory, null for anything else: rsync then says what is wrong. */
async function deviceOf(path: string): Promise<number | null> {
  return lstat(path).then(
    (found) => (found.isDirectory() ? found.dev : null),
    () => null,
  );
}

/** Bytes as they come, at the rate that holds when each piece leaves. */
const paced = (bandwidth: Bandwidth) =>
  async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    const pacer = new Pacer(null);
    for await (const chunk of source)
      for (let at = 0; at < chunk.length;) {
        pacer.rate = bandwidth.rate;
        const piece = chunk.subarray(at, at + pacer.piece(chunk.length));
        const wait = pacer.delay(piece.length, performance.now());
        if (wait > 0) await sleep(wait);
        at += piece.length;
        yield piece;
      }
  };

function sentBytes(stats: string): number {
  const match = /^Total bytes sent: ([\d,]+)$/m.exec(stats);
  return Number(match?.[1]?.replaceAll(',', '') ?? 0);
}

function reasonOf(stderr: string, exitCode: number | undefined): string {
  const lines = stderr.trim().split('\n').filter(Boolean);
  return lines.slice(-2).join('; ') || `rsync ended with ${exitCode ?? 'a signal'}`;
}
