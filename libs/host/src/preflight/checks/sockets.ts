/** Sockets that CRIU has no word for, and sockets that live in another network namespace than the container. */
import { findingAbout, findingsByTarget, heldSockets, type Check } from './finding.ts';

/** Protocol names (struct proto, net/) that CRIU dumps: criu/sockets.c by family, criu/sk-inet.c by protocol. */
const SUPPORTED =
  /^(TCP|TCPv6|UDP|UDPv6|UDP-Lite|UDPLITE|UDPLITEv6|RAW|RAWv6|PING|PINGv6|UNIX|UNIX-STREAM|NETLINK|PACKET)$/;

export const unsupportedSockets: Check = (snapshot) =>
  findingsByTarget(snapshot, ({ status }) => {
    const protocol = status?.kind === 'socket' ? snapshot.protocols?.get(status.inode) : undefined;
    if (protocol === undefined || SUPPORTED.test(protocol)) return null;
    return {
      code: 'SOCKET_UNSUPPORTED',
      severity: 'hard',
      reason: `CRIU cannot dump a socket of protocol ${protocol}`,
      remedy: protocol.startsWith('MPTCP')
        ? 'Use plain TCP; a Go program does with GODEBUG=multipathtcp=0 in its environment.'
        : 'Have the program close it before the move.',
    };
  });

/** Restoring one needs a setting of the namespace that a fresh one does not have. */
export const pingSockets: Check = (snapshot) =>
  findingsByTarget(snapshot, ({ status }) => {
    const protocol = status?.kind === 'socket' ? snapshot.protocols?.get(status.inode) : undefined;
    if (protocol === undefined || !/^PING(v6)?$/.test(protocol)) return null;
    return {
      code: 'PING_SOCKET',
      severity: 'soft',
      reason: 'an ICMP socket can be restored only where net.ipv4.ping_group_range allows it',
      remedy: 'Have the program close it before the move, or use a raw socket.',
    };
  });

/** Inherited from whoever started the container, for instance by socket activation. */
export const socketsOutside: Check = (snapshot) =>
  findingsByTarget(snapshot, ({ status }) => {
    if (status?.kind !== 'socket' || !snapshot.hostSockets.has(status.inode)) return null;
    return {
      code: 'SOCKET_OUTSIDE',
      severity: 'hard',
      reason: 'the socket belongs to the network of the host, not to that of the container',
      remedy: 'Have the container open its sockets itself instead of inheriting them.',
    };
  });

/** What could not be looked at is said, not passed over. */
export const uncheckedSockets: Check = (snapshot) => {
  const [first] = snapshot.processes;
  const missing = [
    ...(snapshot.unixSockets === null
      ? ['where unix sockets lead (no `ss`, or no unix_diag in the kernel)']
      : []),
    ...(snapshot.protocols === null ? ['of which protocol sockets are (no `perl`)'] : []),
  ];
  if (first === undefined || missing.length === 0 || heldSockets(snapshot).size === 0) return [];
  return [
    findingAbout(snapshot, first, [], {
      code: 'SOCKETS_UNCHECKED',
      severity: 'note',
      reason: `nobody could tell ${missing.join(', nor ')}`,
      remedy: 'Install iproute2 and perl on this host.',
    }),
  ];
};
