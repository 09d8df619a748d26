/** The way through the client: a socket that leads to it, and on to the host whose name is said first. */
import { createServer, connect, type Server, type Socket } from 'node:net';
import { HostName } from '@cmt/contracts';
import { unlink } from 'node:fs/promises';
import { within } from './limits.ts';

/** Milliseconds for a name to be said. */
const NAME_MS = 10_000;
const LONGEST_NAME = 80;

/** Asks the relay behind a unix socket for a host. What it cannot reach it hangs up on. */
export async function dialRelay(
  path: string,
  peer: HostName,
  limit: { readonly ms: number; readonly signal: AbortSignal },
): Promise<Socket> {
  const socket = connect(path);
  const connected = new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve());
    socket.on('error', reject);
  });
  try {
    await within(connected, limit);
    socket.write(`${peer}\n`);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/**
 * Serves such a socket: reads a name, and joins the connection with the one that `open` makes. Bytes are passed on unread.
 * @param open the socket of that host, or null where there is no such host
 */
export async function serveRelay(path: string, open: (peer: HostName) => string | null): Promise<Server> {
  await unlink(path).catch(() => undefined);
  const server = createServer((socket) => void pass(socket, open));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve());
  });
  server.on('error', () => undefined);
  return server;
}

async function pass(socket: Socket, open: (peer: HostName) => string | null): Promise<void> {
  socket.on('error', () => socket.destroy());
  const peer = await nameOn(socket);
  const path = peer === null ? null : open(peer);
  if (path === null) {
    socket.destroy();
    return;
  }
  const there = connect(path);
  there.on('error', () => socket.destroy());
  socket.on('close', () => there.destroy());
  there.on('close', () => socket.destroy());
  socket.pipe(there);
  there.pipe(socket);
}

/** The first line, and nothing of what follows it. */
function nameOn(socket: Socket): Promise<HostName | null> {
  return new Promise((resolve) => {
    let said = '';
    const end = (name: HostName | null): void => {
      clearTimeout(late);
      socket.off('readable', look).off('close', gone);
      resolve(name);
    };
    const gone = (): void => end(null);
    const look = (): void => {
      for (
        let byte = socket.read(1) as Buffer | null;
        byte !== null;
        byte = socket.read(1) as Buffer | null
      ) {
        const letter = byte.toString('latin1');
        if (letter === '\n') return end(HostName.safeParse(said).data ?? null);
        said += letter;
        if (said.length > LONGEST_NAME) return end(null);
      }
    };
    const late = setTimeout(gone, NAME_MS);
    socket.on('readable', look).once('close', gone);
  });
}
