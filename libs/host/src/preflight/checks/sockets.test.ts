/** The checks of sockets by tables. What real CRIU says to them is in test/live/preflight.test.ts. */
import { describe, expect, test } from 'vitest';
import type { Snapshot } from '../snapshot.ts';
import { clean, found, namespaces, socket, withFiles, withInit } from './example-snapshot.ts';

describe('sockets', () => {
  const pair = (peer: number) => new Map([[1003, { type: 'u_str', peer, path: '' }]]);

  test.each<[string, Partial<Snapshot>, string[]]>([
    ['a peer inside', { unixSockets: pair(1004) }, []],
    ['no peer', { unixSockets: pair(0) }, []],
    ['a peer outside', { unixSockets: pair(77) }, ['UNIX_SOCKET_OUTSIDE hard']],
    ['of the host', { hostSockets: new Set([1004]) }, ['SOCKET_OUTSIDE hard']],
    ['MPTCP', { protocols: new Map([[1003, 'MPTCP']]) }, ['SOCKET_UNSUPPORTED hard']],
    ['vsock', { protocols: new Map([[1003, 'AF_VSOCK']]) }, ['SOCKET_UNSUPPORTED hard']],
    ['ping', { protocols: new Map([[1003, 'PING']]) }, ['PING_SOCKET soft']],
    ['nobody to ask', { unixSockets: null, protocols: null }, ['SOCKETS_UNCHECKED note']],
  ])('%s', (_, change, expected) => {
    const findings = found({ ...withFiles(socket(3), socket(4)), ...change });
    expect(findings.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual(expected);
  });

  test('the path of either end says which one it is', () => {
    const unixSockets = new Map([
      [1003, { type: 'u_str', peer: 77, path: '' }],
      [77, { type: 'u_str', peer: 1003, path: '/run/dbus' }],
    ]);
    expect(found({ ...withFiles(socket(3)), unixSockets })).toEqual([expect.stringContaining('(/run/dbus)')]);
  });
});

describe('TCP', () => {
  const connection = { inode: 1003, local: '0A4D0064:1B58', remote: '0A4D0001:C001', connected: true };
  const on = (net: string, tcp: Snapshot['circumstances']['tcp'], tcpSockets = [connection]): string[] =>
    found({
      ...withInit({ files: [socket(3), socket(4)], namespaces: { ...namespaces, net } }),
      ...{ tcpSockets, circumstances: { ...clean.circumstances, tcp } },
    });

  test('of a network of its own is carried', () => expect(on('net:[1]', 'established')).toEqual([]));
  test('is refused where that was asked for', () =>
    expect(on('net:[1]', 'refuse')).toEqual([
      expect.stringMatching(/^TCP_CONNECTIONS hard .* 1 established/),
    ]));
  test('of somebody else on the same network does not count', () =>
    expect(on('net:[9]', 'refuse', [{ ...connection, inode: 5 }])).toEqual([]));
  test('listening does not count', () =>
    expect(on('net:[1]', 'refuse', [{ ...connection, connected: false }])).toEqual([]));
  test('over the host’s address is lost', () =>
    expect(on('net:[9]', 'established')).toEqual([
      expect.stringMatching(/^TCP_HOST_NETWORK soft .* 1 established/),
    ]));
  test('within the container is not', () => {
    const other = { ...connection, inode: 1004, local: connection.remote, remote: connection.local };
    expect(on('net:[9]', 'established', [connection, other])).toEqual([]);
  });
  test('is nobody’s business when it is to be closed', () => expect(on('net:[9]', 'close')).toEqual([]));
});
