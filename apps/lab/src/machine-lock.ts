/**
 * One at a time on this machine, without lock files.
 *
 * An abstract unix socket can be bound once and is gone with its process, however that ends: nothing goes stale.
 */
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** Runs `work` while no other process on this machine holds `name`; waits as long as one does, or until aborted. */
export async function withMachineLock<T>(
  name: string,
  work: () => Promise<T>,
  options: { readonly signal?: AbortSignal | undefined; readonly onWait?: () => void } = {},
): Promise<T> {
  const address = `\0cmt-lab/${name}`;
  let release = await tryBind(address);
  if (!release) options.onWait?.();
  while (!release) {
    await holderGone(address, options.signal);
    release = await tryBind(address);
  }
  try {
    return await work();
  } finally {
    release();
  }
}

/** @returns what lets go of the name again, or undefined when another process holds it. */
function tryBind(address: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    const waiting = new Set<Socket>();
    const server = createServer((socket) => waiting.add(socket.on('error', () => undefined)));
    const release = (): void => {
      server.close();
      // The end of their connection tells those who wait that it is their turn.
      for (const socket of waiting) socket.destroy();
    };
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(address, () => resolve(release));
  });
}

async function holderGone(address: string, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  // We may connect just after the holder let go of those who waited: never wait for the event alone.
  const patience = AbortSignal.timeout(500);
  await new Promise<void>((resolve) => {
    const socket = connect(address);
    socket.once('close', () => resolve()).once('error', () => resolve());
    const enough = AbortSignal.any(signal ? [patience, signal] : [patience]);
    enough.addEventListener('abort', () => socket.destroy());
  });
  await pause(20);
  signal?.throwIfAborted();
}
