/** A snapshot of a made-up /proc: what is read, and that what cannot be read is simply missing. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { containerPids } from './container-processes.ts';
import { readSnapshot } from './read-snapshot.ts';
import { judgeSnapshot } from './scan.ts';

let proc: string;
beforeEach(async () => {
  proc = await mkdtemp(join(tmpdir(), 'cmt-proc-'));
});
afterEach(() => rm(proc, { recursive: true, force: true }));

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(proc, path)), { recursive: true });
  await writeFile(join(proc, path), text);
}
async function link(path: string, target: string): Promise<void> {
  await mkdir(dirname(join(proc, path)), { recursive: true });
  await symlink(target, join(proc, path));
}

async function process(pid: number | 'self', comm: string, parent: number, netns: number): Promise<void> {
  await put(`${pid}/status`, `Name:\t${comm}\nState:\tS (sleeping)\nPPid:\t${parent}\nTracerPid:\t0\n`);
  await link(`${pid}/ns/net`, `net:[${netns}]`);
  await link(`${pid}/ns/mnt`, `mnt:[${netns}]`);
}
const circumstances = {
  tcp: 'refuse',
  criu: '4.2.1',
  terminal: false,
  seccompNotify: false,
  mountPoints: [],
} as const;
const read = (pids: readonly number[]) =>
  readSnapshot({ host: 'berlin', init: 10, pids, circumstances, proc }, AbortSignal.timeout(10_000));

test('processes, files, mounts and what is shared with the outside', async () => {
  await process('self', 'cmt', 1, 1);
  await process(10, 'web', 1, 5);
  await process(11, 'worker', 10, 5);
  await process(20, 'logger', 1, 1);
  await process(21, 'proxy', 1, 5);
  await put('10/mountinfo', '50 1 0:45 / / rw - overlay overlay rw\n');
  await link('10/fd/1', 'pipe:[7]');
  await put('10/fdinfo/1', 'pos:\t0\nmnt_id:\t15\n');
  await link('11/fd/3', '/outside/file');
  await put('11/fdinfo/3', 'pos:\t0\nmnt_id:\t99\n');
  await link('20/fd/0', 'pipe:[7]');
  await put('11/maps', '7f02-7f03 rw-s 00000000 00:0e 9          anon_inode:[io_uring]\n');
  const snapshot = await read([10, 11, 12]);
  expect(snapshot.processes.map(({ pid, comm, parent }) => [pid, comm, parent])).toEqual([
    [10, 'web', 1],
    [11, 'worker', 10],
  ]);
  expect(snapshot.pipesOutside).toEqual(new Map([[7, { pid: 20, comm: 'logger' }]]));
  expect(snapshot.netnsSharers).toEqual([{ pid: 21, comm: 'proxy' }]);
  expect(judgeSnapshot(snapshot).map(({ code }) => code)).toEqual([
    'STREAM_OUTSIDE',
    'PIPE_OUTSIDE',
    'IO_URING',
    'NETNS_SHARED',
  ]);
});

test('on the host’s network nobody shares it, and its sockets are not foreign', async () => {
  await process('self', 'cmt', 1, 1);
  await process(10, 'web', 1, 1);
  await process(20, 'sshd', 1, 1);
  await put('self/net/tcp', 'header\n 0: a b 0A x x x x x 1234 1\n');
  const { netnsSharers, hostSockets } = await read([10]);
  expect({ netnsSharers, hostSockets }).toEqual({ netnsSharers: [], hostSockets: new Set() });
});

test('who has ended while it was looked at shares nothing: it may have been the scan’s own', async () => {
  await process('self', 'cmt', 1, 1);
  await process(10, 'web', 1, 5);
  await link('22/ns/net', 'net:[5]');
  expect((await read([10])).netnsSharers).toEqual([]);
});

test('without a cgroup the descendants of init are its processes; with one, those of the groups below too', async () => {
  for (const [pid, parent] of [
    [10, 1],
    [11, 10],
    [12, 11],
    [20, 1],
  ] as const)
    await process(pid, 'x', parent, 1);
  expect(await containerPids({ cgroup: null, pid: 10 }, proc)).toEqual([10, 11, 12]);
  await put('cgroup/cgroup.procs', '12\n10\n');
  await put('cgroup/inner/cgroup.procs', '13\n');
  expect(await containerPids({ cgroup: join(proc, 'cgroup'), pid: 10 }, proc)).toEqual([10, 12, 13]);
});
