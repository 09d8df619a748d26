/** A wire that a test can cut without either end noticing: bytes are held back, connections stay open. */
import { connect, createServer, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** From now on nothing passes, in either direction. */
  freeze(): void;
  /** What was held back is delivered, and all passes again. */
  thaw(): void;
  close(): void;
}

export function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const directions = new Set<readonly [Socket, Socket]>();
  let frozen = false;
  const flow = (from: Socket, to: Socket) => {
    const direction = [from, to] as const;
    directions.add(direction);
    from.on('error', () => from.destroy());
    from.on('close', () => {
      directions.delete(direction);
      to.destroy();
    });
    if (!frozen) from.pipe(to);
  };
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1');
    flow(client, upstream);
    flow(upstream, client);
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve({
        port: typeof address === 'object' && address !== null ? address.port : 0,
        freeze: () => {
          frozen = true;
          for (const [from] of directions) from.unpipe().pause();
        },
        thaw: () => {
          frozen = false;
          for (const [from, to] of directions) from.pipe(to);
        },
        close: () => {
          server.close();
          for (const [from] of directions) from.destroy();
        },
      });
    });
  });
}
