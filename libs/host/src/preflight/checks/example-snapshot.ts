/** A container without obstacles, and how to give it some: for the tests of the checks. */
import { judgeSnapshot } from '../scan.ts';
import type { FileKind, OpenFile, ScannedProcess, Snapshot } from '../snapshot.ts';

export const namespaces = {
  ipc: 'ipc:[1]',
  mnt: 'mnt:[1]',
  net: 'net:[1]',
  pid: 'pid:[1]',
  user: 'user:[1]',
  uts: 'uts:[1]',
};
export const init: ScannedProcess = {
  ...{ pid: 100, comm: 'web', parent: 1, tracer: 0, state: 'S' },
  ...{ namespaces, files: [], mappings: [] },
};
const ROOT = 50;
export const clean: Snapshot = {
  ...{ host: 'berlin', init: 100, processes: [init] },
  mounts: [
    { id: ROOT, device: '0:45', point: '/', type: 'overlay' },
    { id: 51, device: '0:46', point: '/dev/shm', type: 'tmpfs' },
  ],
  ...{ pipesOutside: new Map(), unixSockets: new Map(), tcpSockets: [], hostSockets: new Set() },
  ...{ protocols: new Map(), netnsSharers: [] },
  hostNamespaces: {
    ipc: 'ipc:[9]',
    mnt: 'mnt:[9]',
    net: 'net:[9]',
    pid: 'pid:[9]',
    user: 'user:[1]',
    uts: 'uts:[9]',
  },
  circumstances: {
    tcp: 'established',
    criu: '4.2.1',
    terminal: false,
    seccompNotify: false,
    mountPoints: [],
  },
};

export const file = (
  fd: number,
  target: string,
  given: Partial<OpenFile> & { kind?: FileKind; device?: string } = {},
): OpenFile => {
  const { kind = 'regular', device = '0:0', ...rest } = given;
  const status = { kind, inode: 1000 + fd, links: 1, bytes: 10, device };
  return { fd, target, mount: ROOT, info: '', status, ...rest };
};
export const socket = (fd: number): OpenFile =>
  file(fd, `socket:[${1000 + fd}]`, { kind: 'socket', mount: 9 });
export const withFiles = (...files: OpenFile[]): Snapshot => ({ ...clean, processes: [{ ...init, files }] });
export const withInit = (change: Partial<ScannedProcess>): Snapshot => ({
  ...clean,
  processes: [{ ...init, ...change }],
});
export const found = (snapshot: Snapshot): string[] =>
  judgeSnapshot(snapshot).map(({ code, severity, message }) => `${code} ${severity} ${message}`);
