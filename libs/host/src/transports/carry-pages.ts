/** Both ends of the conversation after which a page stream is there: on a channel of its own, over before the container is frozen. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { KEY_BYTES } from './carrier/sealed.ts';
import { takeOffer, type Limit } from './carry.ts';
import { ChannelError, type Channel } from './channel.ts';
import type { Asker } from './handshake.ts';
import { within, type Timings } from './limits.ts';
import { startPageStream, type PageStream } from './page-stream.ts';
import type { CarriagePort, Scene } from './serve.ts';

const NAME = 'pages';

/** Source. @throws whatever keeps pages from a connection of their own */
export async function openPageStream(
  channel: Channel,
  asker: Asker,
  { rateFile, pagesSilence: silenceMs }: Pick<Timings, 'pagesSilence'> & { readonly rateFile: string },
  limit: Limit,
): Promise<PageStream> {
  const take = (socket: Socket, key: string): Promise<PageStream> =>
    startPageStream(socket, { side: 'source', key, rateFile, silenceMs });
  try {
    return await takeOffer(channel, asker, { name: NAME, limit, take, drop: (stream) => stream.close() });
  } finally {
    channel.destroy();
  }
}

/** Target: offers a connection and keeps what comes of it in the session. @throws ChannelError */
export async function servePages(
  { channel, session, timings }: Scene,
  port: CarriagePort,
  accept: () => void,
): Promise<void> {
  accept();
  if (port === null) {
    channel.send({ type: 'carriage' });
    return channel.end();
  }
  const key = randomBytes(KEY_BYTES).toString('base64');
  const arriving = session.carriages.expect(NAME);
  channel.send({ type: 'carriage', port, key });
  const gone = channel.closed.then(() => Promise.reject(new ChannelError('the source left')));
  gone.catch(() => undefined);
  try {
    const socket = await within(Promise.race([arriving, gone]), { ms: timings.handshake });
    const end = { side: 'target', key, rateFile: null, silenceMs: timings.pagesSilence } as const;
    await session.pagesOpened(await startPageStream(socket, end));
  } finally {
    session.carriages.forget(NAME);
  }
  channel.send({ type: 'ready' });
  channel.end();
}
