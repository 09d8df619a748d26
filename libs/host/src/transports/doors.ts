/** Where connections come in: a private unix socket behind sshd, and a TCP port for the bytes of images and on trusted networks. */
import { chmod, chown, mkdir, unlink } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { ListenOptions, Server, Socket } from 'node:net';
import { dirname } from 'node:path';
import { CmtError } from '@cmt/contracts';
import { errnoOf } from './errno.ts';

export interface Door {
  /** Of a TCP door, 0 for others. */
  readonly port: number;
  /** No new connection, and none that is left. */
  close(): Promise<void>;
}

/** Bytes of a unix socket's path, with its end (unix(7), sun_path). */
const MAX_SOCKET_PATH = 108;

/**
 * Listens on a unix socket, 0600 in a 0700 directory; a socket that nobody serves any more is replaced.
 * @param owner whom the socket is given to; the directory is theirs already
 * @throws {CmtError} WORKER_RUNS when one is served
 */
export async function openUnixDoor(
  path: string,
  onStream: (socket: Socket) => void,
  owner?: { readonly uid: number; readonly gid: number },
): Promise<Door> {
  if (Buffer.byteLength(path) >= MAX_SOCKET_PATH) throw new Error(`the path of socket ${path} is too long`);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await chmod(dirname(path), 0o700);
  if (await isServed(path)) throw new CmtError('WORKER_RUNS', { socket: path });
  await unlink(path).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error;
  });
  const door = await listen({ path }, onStream);
  await chmod(path, 0o600);
  if (owner !== undefined) await chown(path, owner.uid, owner.gid);
  return door;
}

/** Listens on all addresses. */
export const openWideDoor = (port: number, onStream: (socket: Socket) => void): Promise<Door> =>
  listen({ port }, onStream);

/** Listens on the host's own address, or on all where that address is not its own (behind NAT). */
export async function openTcpDoor(
  host: string,
  port: number,
  onStream: (socket: Socket) => void,
): Promise<Door> {
  return listen({ host, port }, onStream).catch((error: unknown) => {
    if (!['EADDRNOTAVAIL', 'ENOTFOUND'].includes(errnoOf(error) ?? '')) throw error;
    return listen({ port }, onStream);
  });
}

async function listen(where: ListenOptions, onStream: (socket: Socket) => void): Promise<Door> {
  const sockets = new Set<Socket>();
  const options = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 5000 };
  const server = createServer(options, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    onStream(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      server.on('error', () => undefined); // A failed accept (no descriptors left) concerns one connection only.
      resolve();
    });
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { port, close: () => shut(server, sockets) };
}

function shut(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of sockets) socket.destroy();
  });
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
