/**
 * The ssh server of a worker on a machine whose sshd lets no other host in: it carries channels to this worker's receiver and
 * does nothing else.
 *
 * INVARIANTS
 * - The host key is this worker's own, kept beside its identity, announced, and pinned by whoever connects.
 * - Anybody may log in, and then do one thing: open a channel to the receiver, which believes nobody before a signed answer to its
 *   challenge, as at its other doors.
 * - No shell, no program, no file, no other socket.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
// CommonJS: Node finds only some of its names.
import ssh2, { type Connection } from 'ssh2';
import { z } from 'zod';

/** Private and public key, in OpenSSH's formats. */
export interface OwnHostKey {
  readonly private: string;
  /** `ssh-ed25519 AAAA…`, to be announced. */
  readonly public: string;
}

/** Reads `<stateDir>/keys/ssh-host.json`, or makes it. There is one worker of a state directory. */
export async function loadOwnHostKey(stateDir: string): Promise<OwnHostKey> {
  const file = join(stateDir, 'keys', 'ssh-host.json');
  const text = await readFile(file, 'utf8').catch(() => null);
  const known = text === null ? null : Stored.parse(JSON.parse(text));
  // With one that cannot be used no host has ever been announced.
  if (known !== null && isUsable(known)) return known;
  const key = makeKey();
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFile(`${file}.new`, JSON.stringify(key), { mode: 0o600 });
  await rename(`${file}.new`, file);
  return key;
}

/** One of some 400 that ssh2 makes it cannot read itself: it drops zeros from the beginning of the public half (its lib/keygen.js). */
function makeKey(): OwnHostKey {
  for (;;) {
    const made = ssh2.utils.generateKeyPairSync('ed25519');
    const key = { private: made.private, public: made.public.trim().split(/\s+/).slice(0, 2).join(' ') };
    if (isUsable(key)) return key;
  }
}

const isUsable = (key: OwnHostKey): boolean => !(ssh2.utils.parseKey(key.private) instanceof Error);
const Stored = z.object({ private: z.string(), public: z.string() });

/** Connections at a time that have not ended. */
const MOST_CONNECTIONS = 64;
/** Milliseconds from the first byte to a login. */
const LOGIN_MS = 15_000;

/** Serves ssh on sockets that somebody else has accepted; every channel to the receiver goes to `onStream`. */
export interface OwnSshd {
  serve(socket: Socket): void;
}

export function createOwnSshd(hostKey: string, onStream: (stream: Duplex) => void): OwnSshd {
  let open = 0;
  const server = new ssh2.Server({ hostKeys: [hostKey], ident: 'cmt' }, (client) => admit(client, onStream));
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
