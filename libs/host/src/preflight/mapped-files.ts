/**
 * Files that a frozen container has mapped shared and writable. A write through such a mapping leaves the file's time alone
 * until the page is written back, so rsync would take the file for unchanged: their times are set to now.
 */
import { readFile, utimes } from 'node:fs/promises';
import { containerPids } from './container-processes.ts';
import { parseMaps } from './proc-text.ts';
import type { ContainerState } from '../runtimes/runtime.ts';

/** Sets the modification time of every such file of a container's processes. */
export async function touchMappedFiles(state: ContainerState): Promise<void> {
  const now = new Date();
  const pids = await containerPids(state);
  const mapped = (await Promise.all(pids.map(mappedBy))).flat();
  await Promise.all(mapped.map((path) => utimes(path, now, now).catch(unlessGone)));
}

/** Address ranges of shared writable mappings of files, in the lines of /proc/PID/maps (proc_pid_maps(5)). Pure. */
export function sharedRanges(maps: string): string[] {
  return parseMaps(maps)
    .filter(({ mode, inode }) => mode[1] === 'w' && mode[3] === 's' && inode !== '0')
    .map(({ range }) => range);
}

async function mappedBy(pid: number): Promise<string[]> {
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8').catch(() => '');
  return sharedRanges(maps).map((range) => `/proc/${pid}/map_files/${trimmed(range)}`);
}

/** map_files names the ranges without leading zeros. */
const trimmed = (range: string): string =>
  range
    .split('-')
    .map((address) => address.replace(/^0+(?=.)/, ''))
    .join('-');

/** Gone, or on a file system that keeps no times or may not be written: nothing that rsync would carry. */
function unlessGone(error: unknown): void {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (!['ENOENT', 'EROFS', 'EPERM', 'EACCES', 'EINVAL'].includes(String(code))) throw error;
}
