/** Each check by a table: what it names, what it leaves alone. What real CRIU says to them is in test/live/preflight.test.ts. */
import { describe, expect, test } from 'vitest';
import type { OpenFile, ScannedProcess, Snapshot } from '../snapshot.ts';
import { clean, file, found, init, namespaces, socket, withFiles, withInit } from './example-snapshot.ts';
import { isBefore, watchedDevices } from './inotify.ts';

test('nothing is said of a container without obstacles', () => {
  const harmless = withFiles(
    file(0, '/dev/null', { kind: 'character', device: '1:3', mount: 51 }),
    file(1, 'pipe:[7]', { kind: 'fifo', mount: 15 }),
    file(2, '/memfd:x (deleted)', {
      mount: 2,
      status: { kind: 'regular', inode: 3, links: 0, bytes: 1, device: '0:0' },
    }),
    ...['eventfd', 'eventpoll', 'signalfd', 'timerfd', 'pidfd'].map((kind, n) =>
      file(10 + n, `anon_inode:[${kind}]`, { kind: 'other', mount: 16 }),
    ),
    file(20, '/dev/pts/0', { kind: 'character', device: '136:0' }),
    file(21, '/dev/pts/ptmx', { kind: 'character', device: '5:2', info: 'pos:\t0\ntty-index:\t0\n' }),
    file(22, 'net:[4026531840]', { mount: 4 }),
    file(23, 'anon_inode:inotify', { kind: 'other', mount: 16, info: 'inotify wd:1 ino:2 sdev:2e mask:2' }),
    socket(24),
  );
  expect(found({ ...harmless, protocols: new Map([[1024, 'TCP']]) })).toEqual([]);
});

describe('files', () => {
  test.each<[string, OpenFile, string]>([
    [
      'outside',
      file(1, '/root/out.log', { mount: 7 }),
      'STREAM_OUTSIDE hard web (pid 100), fd 1: /root/out.log lies outside the container',
    ],
    [
      'a null device outside',
      file(0, '/dev/null', { kind: 'character', device: '1:3', mount: 7 }),
      'STREAM_OUTSIDE hard',
    ],
    [
      'a terminal outside',
      file(0, '/dev/pts/3', { kind: 'character', device: '136:3', mount: 7 }),
      'TERMINAL hard web (pid 100), fd 0: /dev/pts/3 is a terminal',
    ],
    ['the console', file(0, '/dev/console', { kind: 'character', device: '5:1' }), 'TERMINAL hard'],
    [
      'a device',
      file(4, '/dev/fuse', { kind: 'character', device: '10:229' }),
      'DEVICE hard web (pid 100), fd 4: CRIU cannot dump the device /dev/fuse (character 10:229)',
    ],
    ['a disk', file(4, '/dev/vda', { kind: 'block', device: '1:3' }), 'DEVICE hard'],
    [
      'io_uring',
      file(5, 'anon_inode:[io_uring]', { kind: 'other', mount: 16 }),
      'IO_URING hard web (pid 100), fd 5',
    ],
    ['a perf event', file(5, 'anon_inode:[perf_event]', { kind: 'other', mount: 16 }), 'KERNEL_OBJECT hard'],
    [
      'an object of the old spelling',
      file(5, 'anon_inode:bpf-map', { kind: 'other', mount: 16 }),
      'KERNEL_OBJECT hard',
    ],
    [
      'inotify on overlay',
      file(6, 'anon_inode:inotify', { kind: 'other', info: 'inotify wd:1 ino:2 sdev:2d mask:2' }),
      'INOTIFY soft',
    ],
    [
      'a removed file',
      file(7, '/tmp/x (deleted)', {
        status: { kind: 'regular', inode: 3, links: 0, bytes: 5, device: '0:0' },
      }),
      'DELETED_FILE note',
    ],
    [
      'a removed huge file',
      file(7, '/tmp/x (deleted)', {
        status: { kind: 'regular', inode: 3, links: 0, bytes: 2 ** 30, device: '0:0' },
      }),
      'DELETED_FILE hard',
    ],
    ['a removed file of two names', file(7, '/tmp/x (deleted)'), 'DELETED_FILE hard'],
  ])('%s', (_, given, expected) => {
    const findings = found(withFiles(given));
    expect(findings).toHaveLength(1);
    expect(findings[0]).toContain(expected);
  });

  test('the same stream under several numbers is one finding', () => {
    const streams = [2, 0, 1].map((fd) =>
      file(fd, '/dev/pts/3', { kind: 'character', device: '136:3', mount: 7 }),
    );
    expect(found(withFiles(...streams))).toEqual([
      expect.stringContaining('web (pid 100), fd 0, 1, 2: /dev/pts/3'),
    ]);
  });

  test('a terminal whose other end is gone is none', () => {
    expect(found(withFiles(file(0, '/dev/pts/3 (deleted)', { kind: 'character', device: '136:3' })))).toEqual(
      [],
    );
  });

  test('a pipe is named with who holds it too, and what becomes of it', () => {
    const pipesOutside = new Map([[7, { pid: 5, comm: 'logger' }]]);
    const [standard, other] = found({
      ...withFiles(
        file(1, 'pipe:[7]', { mount: 15 }),
        file(8, 'pipe:[7]', { mount: 15 }),
        file(9, 'pipe:[8]', { mount: 15 }),
      ),
      pipesOutside,
    });
    expect(standard).toMatch(/^PIPE_OUTSIDE soft web \(pid 100\), fd 1: .* logger \(pid 5\) .* \/dev\/null$/);
    expect(other).toMatch(/fd 8: .* has no other end$/);
  });
});

describe('processes', () => {
  const child: ScannedProcess = { ...init, pid: 101, comm: 'child', parent: 100 };
  const withChild = (change: Partial<ScannedProcess>): Snapshot => ({
    ...clean,
    processes: [init, { ...child, ...change }],
  });

  test.each<[string, Snapshot, string[]]>([
    ['a child', withChild({}), []],
    ['traced', withChild({ tracer: 77 }), ['TRACED hard child (pid 101): it is traced by process 77']],
    [
      'nested',
      withChild({ namespaces: { ...namespaces, user: 'user:[2]', pid: 'pid:[2]' } }),
      ['NESTED_NAMESPACE hard child (pid 101): it has pid and user namespaces'],
    ],
    ['a mount namespace of its own', withChild({ namespaces: { ...namespaces, mnt: 'mnt:[2]' } }), []],
    ['unreadable namespaces of a zombie', withChild({ namespaces: {}, state: 'Z' }), []],
    ['put beside init', withChild({ parent: 4 }), ['EXEC_PROCESS soft child (pid 101)']],
    ['its zombie', withChild({ parent: 4, state: 'Z' }), []],
    [
      'a device in memory',
      withChild({ mappings: ['/dev/nvidia0'] }),
      ['DEVICE_MAPPING hard child (pid 101): it has memory of the device /dev/nvidia0'],
    ],
    [
      'a ring in memory',
      withChild({ mappings: ['anon_inode:[io_uring]'] }),
      ['IO_URING hard child (pid 101): '],
    ],
    ['System V memory of its own', withChild({ mappings: ['/SYSV00000000 (deleted)'] }), []],
    [
      'System V memory of the host',
      withChild({ mappings: ['/SYSV00000000 (deleted)'], namespaces: { ...namespaces, ipc: 'ipc:[9]' } }),
      ['NESTED_NAMESPACE hard', 'SYSV_IPC_OUTSIDE hard'],
    ],
    [
      'a neighbour in its network',
      { ...clean, netnsSharers: [{ pid: 7, comm: 'proxy' }] },
      ['NETNS_SHARED soft proxy (pid 7)'],
    ],
  ])('%s', (_, snapshot, expected) => {
    const findings = found(snapshot);
    expect(findings).toHaveLength(expected.length);
    expected.forEach((text, n) => expect(findings[n]).toContain(text));
  });

  test('a ring that is open and mapped is one finding', () => {
    const ring = file(5, 'anon_inode:[io_uring]', { kind: 'other', mount: 16 });
    expect(found(withInit({ files: [ring], mappings: [ring.target] }))).toHaveLength(1);
  });
});

describe('the configuration', () => {
  const under = (change: Partial<Snapshot['circumstances']>): string[] =>
    found({ ...clean, circumstances: { ...clean.circumstances, ...change } });

  test('a terminal', () =>
    expect(under({ terminal: true })).toEqual([expect.stringContaining('TERMINAL hard web')]));
  test('a listener', () =>
    expect(under({ seccompNotify: true })).toEqual([expect.stringContaining('SECCOMP_NOTIFY soft')]));
  test('FUSE made inside, but not what the runtime mounts', () => {
    const mounts = ['/a', '/b'].map((point, n) => ({
      id: 60 + n,
      device: '0:60',
      point,
      type: 'fuse.sshfs',
    }));
    const given = { ...clean, mounts, circumstances: { ...clean.circumstances, mountPoints: ['/a'] } };
    expect(found(given)).toEqual([
      expect.stringContaining('MOUNT_UNSUPPORTED hard web (pid 100): /b is a FUSE mount'),
    ]);
  });
  test('newer criu finds watched files on overlayfs', () => {
    const watch = file(6, 'anon_inode:inotify', { kind: 'other', info: 'inotify wd:1 ino:2 sdev:2d mask:2' });
    const given = withFiles(watch);
    expect(found({ ...given, circumstances: { ...clean.circumstances, criu: '4.3' } })).toEqual([]);
  });
});

test('versions compare by number', () => {
  expect(['4.2.1', '3.19', 'nonsense', null].map((version) => isBefore(version, [4, 3]))).toEqual([
    true,
    true,
    true,
    true,
  ]);
  expect(['4.3', '4.10.2', 'v5.0'].map((version) => isBefore(version, [4, 3]))).toEqual([
    false,
    false,
    false,
  ]);
});

test('the kernel’s form of device numbers', () => {
  expect(watchedDevices('inotify wd:2 ino:a sdev:800013 mask:2\ninotify wd:1 ino:7 sdev:2d mask:2')).toEqual([
    '8:19',
    '0:45',
  ]);
});
