/** Plain TCP, for networks on which nobody listens in: each channel is a connection to the receiver's port. */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { CmtError } from '@cmt/contracts';
import type { HostName, Route } from '@cmt/contracts';
import { within } from './limits.ts';
import type { Transport, Wire } from './transport.ts';

export interface TcpOptions {
  readonly host: HostName;
  /** Milliseconds for a connection to be made. */
  readonly timeoutMs: number;
}

/** Connects when a channel is opened: `connect` itself never fails. */
export function createTcpTransport(options: TcpOptions): Transport {
  return { connect: (route) => Promise.resolve(wireTo(route, options)) };
}

function wireTo(route: Route, options: TcpOptions): Wire {
  const sockets = new Set<Socket>();
  return {
    way: 'direct',
    open: async (signal) => {
      const socket = dial(route);
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      await connected(socket, route, options, signal);
      return socket;
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      return Promise.resolve();
    },
  };
}

function dial({ endpoint }: Route): Socket {
  const [host, port] = [endpoint.address, endpoint.receivePort];
  const keep = { keepAlive: true, keepAliveInitialDelay: 5000, noDelay: true };
  return connect({ host, port, allowHalfOpen: true, ...keep });
}

async function connected(
  socket: Socket,
  route: Route,
  options: TcpOptions,
  signal: AbortSignal,
): Promise<void> {
  const { host, timeoutMs: ms } = options;
  const unreachable = (reason: string) =>
    new CmtError('PEER_UNREACHABLE', {
      host,
      peer: route.peer,
      address: `${route.endpoint.address}:${route.endpoint.receivePort}`,
      reason,
    });
  const connecting = new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve());
    socket.on('error', (error) => reject(unreachable(error.message)));
  });
  try {
    await within(connecting, { ms, signal, late: () => unreachable(`no answer for ${ms} ms`) });
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
