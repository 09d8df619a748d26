/** Established TCP connections, and what becomes of them. */
import type { TcpSocket } from '../snapshot.ts';
import { findingAbout, heldSockets, type Check } from './finding.ts';

export const tcpConnections: Check = (snapshot) => {
  const [first] = snapshot.processes;
  const held = heldSockets(snapshot);
  const connections = snapshot.tcpSockets.filter(({ inode, connected }) => connected && held.has(inode));
  if (first === undefined || connections.length === 0 || snapshot.circumstances.tcp === 'close') return [];
  if (snapshot.circumstances.tcp === 'refuse')
    return [
      findingAbout(snapshot, first, [], {
        code: 'TCP_CONNECTIONS',
        severity: 'hard',
        reason: `the container has ${connections.length} established TCP connection(s), and \`--tcp refuse\` was asked for`,
        remedy: 'Use `--tcp established` to carry them, or `--tcp close` to have them closed on the target.',
      }),
    ];
  const init = snapshot.processes.find(({ pid }) => pid === snapshot.init);
  const leaving = connections.filter((socket) => !staysInside(socket, connections));
  if (init?.namespaces.net !== snapshot.hostNamespaces.net || leaving.length === 0) return [];
  return [
    findingAbout(snapshot, init ?? first, [], {
      code: 'TCP_HOST_NETWORK',
      severity: 'soft',
      reason: `${leaving.length} established TCP connection(s) use the host’s own address, which does not move along`,
      remedy:
        'Use `--tcp close`, or give the container a network of its own; --force if a hook moves the address.',
    }),
  ];
};

/** Both ends of it are in the container. */
const staysInside = (socket: TcpSocket, all: readonly TcpSocket[]): boolean =>
  all.some(({ local, remote }) => local === socket.remote && remote === socket.local);
