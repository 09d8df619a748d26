/** The files of proc(5), as real kernels and tools write them. */
import { expect, test } from 'vitest';
import {
  inodeIn,
  mountIdOf,
  parseInodes,
  parseMountinfo,
  parseSpecialMappings,
  parseStatus,
  parseTcp,
  parseUnixSockets,
} from './proc-text.ts';

test('status', () => {
  const status =
    'Name:\ta b\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t7\nPid:\t7\nPPid:\t3\nTracerPid:\t0\n';
  expect(parseStatus(status)).toEqual({ comm: 'a b', parent: 3, tracer: 0, state: 'S' });
});

test('mountinfo, with a space in a path and optional fields', () => {
  const text =
    '22 1 0:21 / / rw,relatime - overlay overlay rw,lowerdir=/a - b\n' +
    '23 22 0:22 /x /mnt/a\\040b rw shared:5 master:1 - fuse.sshfs me@host rw\n';
  expect(parseMountinfo(text)).toEqual([
    { id: 22, device: '0:21', point: '/', type: 'overlay' },
    { id: 23, device: '0:22', point: '/mnt/a b', type: 'fuse.sshfs' },
  ]);
});

test('fdinfo', () => {
  expect(mountIdOf('pos:\t0\nflags:\t0100000\nmnt_id:\t227\nino:\t5\n')).toBe(227);
  expect(mountIdOf('pos:\t0\n')).toBeNull();
});

test('mappings: devices, kernel objects and System V segments, but no plain or shared anonymous memory', () => {
  const maps = `55d0-55d1 r-xp 00000000 fe:01 1234       /usr/bin/dev/null
7f00-7f01 rw-s 00000000 00:05 18         /dev/nvidia0
7f01-7f02 rw-s 00000000 00:01 55         /dev/zero (deleted)
7f02-7f03 rw-s 00000000 00:0e 9          anon_inode:[io_uring]
7f03-7f04 rw-s 00000000 00:01 3          /SYSV00000000 (deleted)
7f04-7f05 rw-p 00000000 00:00 0          [heap]
7f05-7f06 rw-p 00000000 00:00 0
`;
  expect(parseSpecialMappings(maps)).toEqual([
    { range: '7f00-7f01', name: '/dev/nvidia0' },
    { range: '7f02-7f03', name: 'anon_inode:[io_uring]' },
    { range: '7f03-7f04', name: '/SYSV00000000 (deleted)' },
  ]);
});

test('tcp: listening is not connected, everything under way is', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1B58 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 298674 1 0 100 0 0 10 0
   1: 0100007F:1B58 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 298676 1 0 20 4 30 10 -1
   2: 0100007F:C001 0100007F:1B58 08 00000000:00000000 00:00000000 00000000     0        0 298675 1 0 20 4 30 10 -1
`;
  expect(parseTcp(table).map(({ inode, connected }) => [inode, connected])).toEqual([
    [298674, false],
    [298676, true],
    [298675, true],
  ]);
  expect(parseInodes(table, 9)).toEqual([298674, 298676, 298675]);
});

test('ss: paths with and without spaces, either end', () => {
  const output = `u_str ESTAB  0      0                 * 304645            * 304646
u_str LISTEN 0      4096 /run/my app.sock 5           * 0
u_dgr UNCONN 0      0      @notify 77     * 0
`;
  expect(parseUnixSockets(output)).toEqual([
    [304645, { type: 'u_str', peer: 304646, path: '' }],
    [5, { type: 'u_str', peer: 0, path: '/run/my app.sock' }],
    [77, { type: 'u_dgr', peer: 0, path: '@notify' }],
  ]);
});

test('inodes in link targets', () => {
  expect(inodeIn('socket:[12]', 'socket')).toBe(12);
  expect(inodeIn('pipe:[12]', 'socket')).toBeNull();
  expect(inodeIn('/tmp/socket:[12]', 'socket')).toBeNull();
});
