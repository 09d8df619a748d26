/** Everything that proc(5) tells of one process. What ends meanwhile is simply not there any more. */
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { mountIdOf, parseSpecialMappings, parseStatus } from './proc-text.ts';
import {
  NAMESPACES,
  type FileKind,
  type FileStatus,
  type Namespaces,
  type OpenFile,
  type ScannedProcess,
} from './snapshot.ts';

/** @param proc where proc(5) is mounted */
export async function readProcess(pid: number, proc: string): Promise<ScannedProcess | null> {
  const directory = join(proc, `${pid}`);
  const status = await text(join(directory, 'status'));
  if (status === '') return null;
  const [namespaces, files, mappings] = await Promise.all([
    readNamespaces(directory),
    readFiles(directory),
    readMappings(directory),
  ]);
  return { pid, ...parseStatus(status), namespaces, files, mappings };
}

export async function readNamespaces(directory: string): Promise<Namespaces> {
  const links = await Promise.all(
    NAMESPACES.map(
      async (name) => [name, await readlink(join(directory, 'ns', name)).catch(() => null)] as const,
    ),
  );
  return Object.fromEntries(links.filter(([, link]) => link !== null));
}

/** Numbers and targets of a process's open files, without a closer look. */
export async function readTargets(directory: string): Promise<{ fd: number; target: string }[]> {
  const fds = await readdir(join(directory, 'fd')).catch(() => []);
  const targets = await Promise.all(fds.map((fd) => readlink(join(directory, 'fd', fd)).catch(() => null)));
  return fds.flatMap((fd, index) => {
    const target = targets[index];
    return typeof target === 'string' ? [{ fd: Number(fd), target }] : [];
  });
}

async function readFiles(directory: string): Promise<OpenFile[]> {
  const targets = await readTargets(directory);
  return await Promise.all(
    targets.map(async ({ fd, target }) => {
      const [info, status] = await Promise.all([
        text(join(directory, 'fdinfo', `${fd}`)),
        stat(join(directory, 'fd', `${fd}`)).then(statusOf, () => null),
      ]);
      return { fd, target, info, mount: mountIdOf(info), status };
    }),
  );
}

/** A name under /dev counts only where a device is really behind it. */
async function readMappings(directory: string): Promise<string[]> {
  const candidates = parseSpecialMappings(await text(join(directory, 'maps')));
  const special = await Promise.all(
    candidates.map(async ({ range, name }) => {
      if (!name.startsWith('/dev/')) return true;
      const status = await stat(join(directory, 'map_files', range)).then(statusOf, () => null);
      return status === null || status.kind === 'character' || status.kind === 'block';
    }),
  );
  return [...new Set(candidates.filter((_, index) => special[index]).map(({ name }) => name))];
}

function statusOf(stats: Stats): FileStatus {
  const { ino, nlink, size, rdev } = stats;
  const major = (rdev >>> 8) & 0xfff;
  const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);
  return { kind: kindOf(stats), inode: ino, links: nlink, bytes: size, device: `${major}:${minor}` };
}

function kindOf(stats: Stats): FileKind {
  if (stats.isFile()) return 'regular';
  if (stats.isDirectory()) return 'directory';
  if (stats.isCharacterDevice()) return 'character';
  if (stats.isBlockDevice()) return 'block';
  if (stats.isFIFO()) return 'fifo';
  return stats.isSocket() ? 'socket' : 'other';
}

const text = async (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
