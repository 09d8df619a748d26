/**
 * Source: a connection of its own for the bytes of images, which two carriers take over. The handshake on it is that of every
 * channel; what is sealed on it has a key that came over the images' channel, so behind ssh nobody else knows it.
 *
 * INVARIANT: nothing of the images is sent before the target's carrier has the connection. Whatever goes wrong until then, the channel
 * can carry them as well.
 */
import { connect, type Socket } from 'node:net';
import type { Codec } from '@cmt/contracts';
import { SenderWord } from './carrier/messages.ts';
import { Carrier } from './carrier/process.ts';
import { ChannelError } from './channel.ts';
import type { Channel } from './channel.ts';
import { expectMessage, openChannel } from './handshake.ts';
import type { Asker } from './handshake.ts';
import { within } from './limits.ts';
import { ImagesToSource } from './messages.ts';

/** Milliseconds for a connection: where a firewall is in between it is dropped, and there is another way. */
const CONNECT_MS = 1000;

/** A carrier that waits for its directory. */
export interface Carriage {
  readonly key: string;
  readonly carrier: Carrier<SenderWord>;
  /** Whoever listens to the carrier. */
  listen(onWord: (word: SenderWord) => void): void;
}

export interface Limit {
  readonly ms: number;
  readonly signal: AbortSignal;
}

/** @throws whatever keeps the images from a connection of their own */
export async function openCarriage(
  channel: Channel,
  asker: Asker,
  name: string,
  limit: Limit,
): Promise<Carriage> {
  const { compress } = asker.route;
  channel.send({ type: 'carry', compress });
  const takeOver = (socket: Socket, key: string): Carriage => startSender(socket, key, compress);
  const kill = ({ carrier }: Carriage): Promise<void> => carrier.kill();
  return await takeOffer(channel, asker, { name, limit, take: takeOver, drop: kill });
}

/** What becomes of a connection that the target offers. */
interface Taking<T> {
  readonly name: string;
  readonly limit: Limit;
  /** Hands it to a carrier. */
  readonly take: (socket: Socket, key: string) => T | Promise<T>;
  /** Ends that carrier again. */
  readonly drop: (taken: T) => Promise<void>;
}

/**
 * A connection of its own to the target, as it offers it on the channel; both sides have proved who they are, and have a carrier on it.
 * @throws whatever is in the way
 */
export async function takeOffer<T>(
  channel: Channel,
  asker: Asker,
  { name, limit, take, drop }: Taking<T>,
): Promise<T> {
  const offer = await expectMessage(channel, ImagesToSource, limit);
  if (offer.type !== 'carriage' || offer.key === undefined)
    throw new ChannelError('the target has no port for it');
  const { address, receivePort } = asker.route.endpoint;
  const socket = await dial(address, offer.port ?? receivePort, limit.signal);
  const taken = await take(await authenticated(socket, asker, name, limit), offer.key);
  try {
    const answer = await expectMessage(channel, ImagesToSource, limit);
    if (answer.type !== 'ready') throw new ChannelError('the target did not take the connection over');
    return taken;
  } catch (error) {
    await drop(taken);
    throw error;
  }
}

async function dial(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  const keep = { keepAlive: true, keepAliveInitialDelay: 5000, noDelay: true };
  const socket = connect({ host, port, allowHalfOpen: true, ...keep });
  const connected = new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve());
    socket.on('error', reject);
  });
  const late = () => new Error(`no answer from port ${port} of ${host} for ${CONNECT_MS} ms`);
  try {
    await within(connected, { ms: CONNECT_MS, signal, late });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function authenticated(socket: Socket, asker: Asker, name: string, limit: Limit): Promise<Socket> {
  const channel = await openChannel(socket, asker, { kind: 'carriage', name }, limit);
  channel.detach();
  return socket;
}

function startSender(socket: Socket, key: string, compress: Codec | undefined): Carriage {
  const heard: SenderWord[] = [];
  let listener: ((word: SenderWord) => void) | null = null;
  const carrier = new Carrier(['send', compress], socket, SenderWord, (word) => {
    if (listener === null) heard.push(word);
    else listener(word);
  });
  const listen = (onWord: (word: SenderWord) => void): void => {
    listener = onWord;
    for (const word of heard.splice(0)) onWord(word);
  };
  return { key, carrier, listen };
}
