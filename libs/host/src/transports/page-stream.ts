/**
 * One end of the way on which pages follow a container: a byte stream between the CRIU of two hosts, which no worker has to live for.
 *
 * INVARIANT: until `keep` it ends with this worker; afterwards only with its connection, or with the CRIU that has the socket.
 */
import type { Socket } from 'node:net';
import type { Side } from '@cmt/contracts';
import { PagesWord } from './carrier/messages.ts';
import { Carrier } from './carrier/process.ts';
import { ChannelError } from './channel.ts';

export interface PageStreamEnd {
  readonly side: Side;
  /** Of what is sealed on the connection, base64. */
  readonly key: string;
  /** Holds the bytes per second that may leave, in JSON, and another number when they change; null: as many as go. */
  readonly rateFile: string | null;
  /** Milliseconds without a sign of life after which the connection counts as dead. */
  readonly silenceMs: number;
}

/** What CRIU is given, and whoever gives it. */
export interface PageStream {
  /** Speaks to the CRIU of the other host. To be handed to a child process, whose it becomes, and closed here. */
  readonly socket: Socket;
  /** CRIU has the socket: the stream may outlive this process. */
  keep(): void;
  /** Ends it, unless it was kept. */
  close(): Promise<void>;
}

/** Hands a connection to a carrier. @throws ChannelError when that does not start */
export async function startPageStream(connection: Socket, end: PageStreamEnd): Promise<PageStream> {
  let ready = (): void => undefined;
  const started = new Promise<void>((resolve) => (ready = resolve));
  const carrier = new Carrier(['pages'], connection, PagesWord, () => ready());
  carrier.order({ type: 'begin', ...end });
  await Promise.race([
    started,
    carrier.ended.then((why) => Promise.reject(new ChannelError(`its carrier ended: ${why}`))),
  ]);
  const socket = carrier.local;
  socket.on('error', () => undefined);
  let kept = false;
  return {
    socket,
    keep: () => {
      kept = true;
      carrier.order({ type: 'keep' });
      carrier.leave();
      socket.destroy();
    },
    close: async () => {
      if (kept) return;
      socket.destroy();
      await carrier.kill();
    },
  };
}
