/** Unix sockets connected with a process outside: half of a connection cannot be dumped (criu/sk-unix.c). */
import { findingsByTarget, findingAbout, heldSockets, type Check } from './finding.ts';

export const unixSocketsOutside: Check = (snapshot) => {
  const { unixSockets } = snapshot;
  const held = heldSockets(snapshot);
  const [first] = snapshot.processes;
  if (unixSockets === null)
    return first === undefined || held.size === 0
      ? []
      : [
          findingAbout(snapshot, first, [], {
            code: 'UNIX_SOCKETS_UNCHECKED',
            severity: 'note',
            reason: 'nobody can tell where its unix sockets lead, because `ss` does not work on this host',
            remedy: 'Install iproute2 and load the kernel module unix_diag.',
          }),
        ];
  return findingsByTarget(snapshot, ({ status }) => {
    const socket = status?.kind === 'socket' ? unixSockets.get(status.inode) : undefined;
    if (socket === undefined || socket.peer === 0 || held.has(socket.peer)) return null;
    const peerPath = unixSockets.get(socket.peer)?.path ?? '';
    const path = [socket.path, peerPath].find((known) => known !== '');
    return {
      code: 'UNIX_SOCKET_OUTSIDE',
      severity: 'hard',
      reason: `a unix socket${path === undefined ? '' : ` (${path})`} is connected with a process outside the container`,
      remedy: 'Close the connection before the move, or put both ends into one container.',
    };
  });
};
