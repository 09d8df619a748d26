/** What is mounted, and deleting without ever deleting through a mount. */
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { MountedError, removeTree as remove } from '@cmt/host';
import { LabError } from './lab-error.ts';

export interface Mount {
  readonly mountPoint: string;
  readonly fsType: string;
}

/** The mounts this process sees, from /proc/self/mountinfo. */
export async function listMounts(): Promise<readonly Mount[]> {
  const text = await readFile('/proc/self/mountinfo', 'utf8');
  return text.trimEnd().split('\n').map(parseLine);
}

/** Removes a directory tree, or nothing at all. @throws {LabError} when something is mounted on or below it. */
export async function removeTree(path: string): Promise<void> {
  for (let tries = 1; ; tries += 1)
    try {
      return await remove(path);
    } catch (error) {
      if (error instanceof MountedError)
        throw new LabError(`${path} is kept: unmount ${error.mounts.join(', ')} first`);
      // A host that is just ending may still write there.
      if (tries === MOST_TRIES) throw error;
      await pause(AGAIN_MS);
    }
}

const MOST_TRIES = 4;
const AGAIN_MS = 50;

function parseLine(line: string): Mount {
  const [fields = '', rest = ''] = line.split(' - ');
  return { mountPoint: unescape(fields.split(' ')[4] ?? ''), fsType: rest.split(' ')[0] ?? '' };
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
const unescape = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
