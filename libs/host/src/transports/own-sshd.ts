/**
 * The ssh server of a worker on a machine whose sshd lets no other host in: it carries channels to this worker's receiver and
 * does nothing else.
 *
 * INVARIANTS
 * - The host key lives in this process alone and is pinned by whoever connects: a new worker has a new one.
 * - Anybody may log in, and then do one thing: open a channel to the receiver, which believes nobody before a signed answer to its
 *   challenge, as at its other doors.
 * - No shell, no program, no file, no other socket.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
// CommonJS: Node finds only some of its names.
import ssh2, { type Connection } from 'ssh2';

let made: { readonly private: string; readonly public: string } | undefined;

/** One key pair for this process. */
const ownKeys = (): NonNullable<typeof made> => (made ??= ssh2.utils.generateKeyPairSync('ed25519'));

/** `ssh-ed25519 AAAA…`, to be announced. */
export const ownHostKey = (): string => ownKeys().public.trim().split(/\s+/).slice(0, 2).join(' ');

/** Connections at a time that have not ended. */
const MOST_CONNECTIONS = 64;
/** Milliseconds from the first byte to a login. */
const LOGIN_MS = 15_000;

/** Serves ssh on sockets that somebody else has accepted; every channel to the receiver goes to `onStream`. */
export function createOwnSshd(onStream: (stream: Duplex) => void): { serve(socket: Socket): void } {
  let open = 0;
  const server = new ssh2.Server({ hostKeys: [ownKeys().private], ident: 'cmt' }, (client) =>
    admit(client, onStream),
  );
  server.on('error', () => undefined);
  return {
    serve: (socket) => {
      socket.on('error', () => socket.destroy());
      if (open >= MOST_CONNECTIONS) {
        socket.destroy();
        return;
      }
      open += 1;
      socket.once('close', () => (open -= 1));
      server.injectSocket(socket);
    },
  };
}

function admit(client: Connection, onStream: (stream: Duplex) => void): void {
  const late = setTimeout(() => client.end(), LOGIN_MS);
  client.on('error', () => client.end());
  client.once('close', () => clearTimeout(late));
  client.on('authentication', (asked) => asked.accept());
  client.once('ready', () => clearTimeout(late));
  client.on('openssh.streamlocal', (accept) => onStream(accept()));
  client.on('session', (_, reject) => reject());
  client.on('tcpip', (_, reject) => reject());
  client.on('request', (_, reject) => reject?.());
}
