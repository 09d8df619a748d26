/** Unix sockets connected with a process outside: half of a connection cannot be dumped (criu/sk-unix.c). */
import { findingsByTarget, heldSockets, type Check } from './finding.ts';

export const unixSocketsOutside: Check = (snapshot) => {
  const { unixSockets } = snapshot;
  const held = heldSockets(snapshot);
  return findingsByTarget(snapshot, ({ status }) => {
    const socket = status?.kind === 'socket' ? unixSockets?.get(status.inode) : undefined;
    if (socket === undefined || socket.peer === 0 || held.has(socket.peer)) return null;
    const peerPath = unixSockets?.get(socket.peer)?.path ?? '';
    const path = [socket.path, peerPath].find((known) => known !== '');
    return {
      code: 'UNIX_SOCKET_OUTSIDE',
      severity: 'hard',
      reason: `a unix socket${path === undefined ? '' : ` (${path})`} is connected with a process outside the container`,
      remedy: 'Close the connection before the move, or put both ends into one container.',
    };
  });
};
