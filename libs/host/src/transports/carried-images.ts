/** Target: images that a carrier receives, on a connection of their own. */
import { randomBytes } from 'node:crypto';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { CmtError, type Codec } from '@cmt/contracts';
import { ReceiverWord } from './carrier/messages.ts';
import { Carrier } from './carrier/process.ts';
import { KEY_BYTES } from './carrier/sealed.ts';
import type { Channel } from './channel.ts';
import type { TargetSession } from './session.ts';

/** A connection that was admitted for images of this name. */
export function serveCarriage(
  channel: Channel,
  session: TargetSession,
  name: string,
  accept: () => void,
): void {
  if (!session.carriages.isExpected(name)) throw session.broken('nobody waits for these images');
  accept();
  const stream = channel.detach();
  if (!(stream instanceof Socket)) throw session.broken('only a socket can be handed over');
  session.carriages.arrived(name, stream);
}

interface Offer {
  readonly channel: Channel;
  readonly session: TargetSession;
  readonly host: string;
  /** Of the door where the connection is expected; undefined: that of the endpoint. */
  readonly port: number | undefined;
  /** How the source said that it packs; packed in any other way nothing is taken. */
  readonly compress: Codec | undefined;
}

/** Images that arrive at a carrier. The source may still choose the channel instead, as long as it has not been told `ready`. */
export class CarriedImages {
  readonly #offer: Offer;
  readonly #name: string;
  #carrier: Carrier<ReceiverWord> | null = null;
  #cancelled = false;
  #counted = 0;
  /** @throws CmtError TRANSFER_CORRUPT, TARGET_FULL, TRANSFER_BROKEN */
  readonly received: Promise<{ files: number; bytes: number }>;

  constructor(offer: Offer, name: string) {
    this.#offer = offer;
    this.#name = name;
    this.received = this.#receive(randomBytes(KEY_BYTES).toString('base64'));
    this.received.catch(() => undefined);
  }

  /** No process is left. Idempotent. */
  async cancel(): Promise<void> {
    this.#cancelled = true;
    await this.#carrier?.kill();
  }

  async #receive(key: string): Promise<{ files: number; bytes: number }> {
    const { channel, session, port, compress } = this.#offer;
    const arriving = session.carriages.expect(this.#name);
    channel.send({ type: 'carriage', port, key });
    const socket = await arriving;
    return new Promise((resolve, reject) => {
      if (this.#cancelled) {
        socket.destroy();
        return;
      }
      const carrier = new Carrier(['receive', compress], socket, ReceiverWord, (word) => {
        try {
          if (word.type === 'ready') channel.send({ type: 'ready' });
          else if (word.type === 'failed') reject(this.#failure(word));
          else this.#count(word.bytes);
          if (word.type === 'received') resolve({ files: word.files, bytes: word.bytes });
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
      this.#carrier = carrier;
      void carrier.ended.then((why) => reject(session.broken(why)));
      const directory = join(session.expectation.images, this.#name);
      carrier.order({ type: 'begin', directory, key, quota: session.imagesRoom() });
    });
  }

  #count(bytes: number): void {
    this.#offer.session.imagesGrow(this.#name, bytes - this.#counted);
    this.#counted = bytes;
  }

  #failure({ why, file, reason }: Extract<ReceiverWord, { type: 'failed' }>): CmtError {
    const { session, host } = this.#offer;
    if (why === 'corrupt') return new CmtError('TRANSFER_CORRUPT', { host, file: file || this.#name });
    if (why === 'quota') return session.full(session.expectation.quota + 1);
    return why === 'space' ? session.noSpace() : session.broken(reason);
  }
}
