/** Both ends of the conversation after which a page stream is there: on a channel of its own, over before the container is frozen. */
import { randomBytes } from 'node:crypto';
import type { Rate } from './bandwidth.ts';
import { KEY_BYTES } from './carrier/sealed.ts';
import { dialCarriage, type Limit } from './carry.ts';
import { ChannelError, type Channel } from './channel.ts';
import { expectMessage, type Asker } from './handshake.ts';
import { within, type Timings } from './limits.ts';
import { ImagesToSource } from './messages.ts';
import { startPageStream, type PageStream } from './page-stream.ts';
import type { CarriagePort, Scene } from './serve.ts';

const NAME = 'pages';

/** Source. @throws whatever keeps pages from a connection of their own */
export async function openPageStream(
  channel: Channel,
  asker: Asker,
  { rate, pagesSilence: silenceMs }: Pick<Timings, 'pagesSilence'> & { readonly rate: Rate },
  limit: Limit,
): Promise<PageStream> {
  try {
    const offer = await expectMessage(channel, ImagesToSource, limit);
    if (offer.type !== 'carriage' || offer.key === undefined)
      throw new ChannelError('the target has no port for it');
    const socket = await dialCarriage(asker, NAME, offer.port, limit);
    const stream = await startPageStream(socket, { side: 'source', key: offer.key, rate, silenceMs });
    try {
      const answer = await expectMessage(channel, ImagesToSource, limit);
      if (answer.type !== 'ready') throw new ChannelError('the target did not take the connection over');
      return stream;
    } catch (error) {
      await stream.close();
      throw error;
    }
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
    const end = { side: 'target', key, rate: null, silenceMs: timings.pagesSilence } as const;
    await session.pagesOpened(await startPageStream(socket, end));
  } finally {
    session.carriages.forget(NAME);
  }
  channel.send({ type: 'ready' });
  channel.end();
}
