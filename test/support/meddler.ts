/** A wire that damages what passes: it flips one byte, or cuts the connection, once so many bytes went to the target. */
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface Meddler {
  readonly port: number;
  /** Connections that are open now. */
  open(): number;
  close(): Promise<void>;
}

export interface Meddling {
  /** Position, in what one connection carried to the target, of the byte whose bits are turned. */
  readonly flipAt?: number;
  /** The connection that carried so many bytes is destroyed. */
  readonly cutAt?: number;
}

export async function startMeddler(targetPort: number, { flipAt, cutAt }: Meddling): Promise<Meddler> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const target = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true });
    for (const socket of [client, target]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        target.destroy();
      });
    }
    let passed = 0;
    client.on('data', (bytes: Buffer) => {
      const at = (flipAt ?? -1) - passed;
      if (at >= 0 && at < bytes.length) bytes[at] = bytes[at]! ^ 0xff;
      passed += bytes.length;
      if (cutAt !== undefined && passed >= cutAt) client.destroy();
      else if (!target.write(bytes)) {
        client.pause();
        target.once('drain', () => client.resume());
      }
    });
    client.on('end', () => target.end());
    target.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    open: () => sockets.size,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
