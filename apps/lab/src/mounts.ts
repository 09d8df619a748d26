/** Deleting without ever deleting through a mount. */
import { readFile, rm } from 'node:fs/promises';
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
  const mounts = await listMounts();
  const below = mounts.find(({ mountPoint }) => mountPoint === path || mountPoint.startsWith(`${path}/`));
  if (below) throw new LabError(`${path} is kept: unmount ${below.mountPoint} first`);
  await rm(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 });
}

function parseLine(line: string): Mount {
  const [fields = '', rest = ''] = line.split(' - ');
  return { mountPoint: unescape(fields.split(' ')[4] ?? ''), fsType: rest.split(' ')[0] ?? '' };
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
const unescape = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
