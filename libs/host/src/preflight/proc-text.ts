/** The text files of proc(5) that the scan reads, parsed. Pure. */
import type { Mount, TcpSocket, UnixSocket } from './snapshot.ts';

/** Parent and tracer out of /proc/PID/status, and the state's letter. */
export function parseStatus(status: string): { comm: string; parent: number; tracer: number; state: string } {
  const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S.*)$`, 'm').exec(status)?.[1] ?? '';
  return {
    comm: field('Name'),
    parent: Number(field('PPid')),
    tracer: Number(field('TracerPid')),
    state: field('State').slice(0, 1),
  };
}

/** Spaces and the like stand as octal escapes in it. */
export function parseMountinfo(mountinfo: string): Mount[] {
  return lines(mountinfo).flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [id, , device, , point] = before.split(' ');
    if (id === undefined || device === undefined || point === undefined) return [];
    return [{ id: Number(id), device, point: unescape(point), type: after.split(' ')[0] ?? '' }];
  });
}

/** The mount id in /proc/PID/fdinfo/FD. */
export function mountIdOf(fdinfo: string): number | null {
  const id = /^mnt_id:\s*(\d+)$/m.exec(fdinfo)?.[1];
  return id === undefined ? null : Number(id);
}

/** A line of /proc/PID/maps (proc_pid_maps(5)). */
export interface Mapping {
  /** Addresses as they stand there, in hexadecimal: `from-to`. */
  readonly range: string;
  /** What may be done with it, and `p` for private or `s` for shared: `rw-p`. */
  readonly mode: string;
  readonly device: string;
  /** `0` where there is no file. */
  readonly inode: string;
  readonly name: string;
}

export function parseMaps(maps: string): Mapping[] {
  return lines(maps).flatMap((line) => {
    const [, range, mode, device, inode, name] =
      /^([0-9a-f]+-[0-9a-f]+) (\S+) \S+ (\S+) (\d+)\s*(.*)$/.exec(line) ?? [];
    if (range === undefined || mode === undefined || device === undefined) return [];
    return [{ range, mode, device, inode: inode ?? '0', name: name ?? '' }];
  });
}

/**
 * Mapped names of /proc/PID/maps that are no plain file: what lies under /dev, kernel objects, System V segments.
 * A path under /dev may still be a file of a tmpfs; the reader looks at it. Range as it stands in /proc/PID/map_files.
 */
export function parseSpecialMappings(maps: string): { range: string; name: string }[] {
  return (
    parseMaps(maps)
      // Shared anonymous memory looks like a deleted /dev/zero.
      .filter(({ name }) => /^(\/dev\/|anon_inode:|\/SYSV)/.test(name) && !name.startsWith('/dev/zero'))
      .map(({ range, name }) => ({ range, name }))
  );
}

const TCP_STATES = { closed: '07', listening: '0A' } as const;

/** /proc/net/tcp and tcp6 (proc_pid_net(5)). Addresses stay as the kernel prints them, in hexadecimal. */
export function parseTcp(table: string): TcpSocket[] {
  return rows(table).flatMap(([, local, remote, state, , , , , , inode]) =>
    local === undefined || remote === undefined || state === undefined || inode === undefined
      ? []
      : [
          {
            inode: Number(inode),
            local,
            remote,
            connected: state !== TCP_STATES.closed && state !== TCP_STATES.listening,
          },
        ],
  );
}

/** Inodes in a table of /proc/net, in the column of that number. */
export const parseInodes = (table: string, column: number): number[] =>
  rows(table).map((row) => Number(row[column]));

/** Lines of `ss -xanH`: type, state, two queues, then path and inode of either end. */
export function parseUnixSockets(output: string): [number, UnixSocket][] {
  return lines(output).flatMap((line): [number, UnixSocket][] => {
    const match = /^(u_\w+)\s+\S+\s+\d+\s+\d+\s+(.*?)\s+(\d+)\s+(.*?)\s+(\d+)\s*$/.exec(line);
    if (match === null) return [];
    const [, type = '', path = '', inode, , peer] = match;
    return [[Number(inode), { type, path: path === '*' ? '' : path, peer: Number(peer) }]];
  });
}

/** The number in `socket:[12]` or `pipe:[12]`, or null for any other target. */
export function inodeIn(target: string, kind: 'socket' | 'pipe'): number | null {
  const [, name, inode] = /^(\w+):\[(\d+)\]$/.exec(target) ?? [];
  return name === kind ? Number(inode) : null;
}

const lines = (text: string): string[] => text.split('\n').filter((line) => line.trim() !== '');
const rows = (table: string): string[][] =>
  lines(table)
    .slice(1)
    .map((line) => line.trim().split(/\s+/));
const unescape = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
