/** Source: one directory of images, sent by a carrier while CRIU still writes it; the channel brings the target's answer. */
import { CmtError } from '@cmt/contracts';
import type { SenderOrder, SenderWord } from './carrier/messages.ts';
import type { Carriage } from './carry.ts';
import { ChannelError } from './channel.ts';
import type { Channel } from './channel.ts';
import { expectMessage } from './handshake.ts';
import { abortFailure, within } from './limits.ts';
import { ImagesToSource } from './messages.ts';
import type { SendingOptions } from './send-images.ts';
import type { ImageSending, ImagesSent } from './transport.ts';

/** The carrier speaks all the time unless the target takes nothing: `stallMs` is how long it may be silent. */
export interface CarriedOptions extends SendingOptions {
  readonly carriage: Carriage;
}

/** Milliseconds for the target to say why the connection broke. */
const REFUSAL_MS = 500;

/** Starts at once; failures are kept for `finish`. */
export function sendCarried(options: CarriedOptions): ImageSending {
  const sending = new CarriedSending(options);
  const result = sending.run().catch((error: unknown) => {
    throw options.explain(error);
  });
  result.catch(() => undefined);
  return {
    finish: () => {
      sending.order({ type: 'finish' });
      return result;
    },
    cancel: () => sending.stop(new CmtError('CANCELLED', { reason: 'the dump failed' })),
    get bytesSent() {
      return sending.bytes;
    },
  };
}

class CarriedSending {
  readonly #options: CarriedOptions;
  #stop: (error: unknown) => void = () => undefined;
  #stall: NodeJS.Timeout | undefined;
  bytes = 0;

  constructor(options: CarriedOptions) {
    this.#options = options;
  }

  order(order: SenderOrder): void {
    this.#options.carriage.carrier.order(order);
  }

  stop(error: unknown): void {
    this.#stop(error);
  }

  async run(): Promise<ImagesSent> {
    const { channel, carriage, directory, bandwidth, signal } = this.#options;
    const stopped = new Promise<never>((_, reject) => (this.#stop = reject));
    stopped.catch(() => undefined);
    const onAbort = () => this.#stop(abortFailure(signal));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    const unlisten = bandwidth.onChange((rate) => this.order({ type: 'rate', rate }));
    const reply = replyOn(channel);
    reply.catch((error: unknown) => this.#stop(error));
    try {
      const done = this.#carried();
      this.order({ type: 'begin', directory, key: carriage.key, rate: bandwidth.rate });
      const sent = await Promise.race([done, stopped]);
      const late = () => channel.fail('the target does not answer');
      await Promise.race([within(reply, { ms: this.#options.stallMs, late }), stopped]);
      return sent;
    } catch (error) {
      const cause = await this.#cause(error, reply);
      await carriage.carrier.kill();
      throw cause;
    } finally {
      unlisten();
      signal.removeEventListener('abort', onAbort);
      clearTimeout(this.#stall);
      channel.destroy();
      // Nobody waits for the end of one that has done its work: that would be part of the blackout.
      void carriage.carrier.kill();
    }
  }

  /** Resolves when the carrier has sent everything. */
  #carried(): Promise<ImagesSent> {
    const { carriage, stallMs } = this.#options;
    return new Promise((resolve, reject) => {
      const watch = (): void => {
        clearTimeout(this.#stall);
        const late = () => reject(new ChannelError(`the target took no byte for ${stallMs} ms`));
        this.#stall = setTimeout(late, stallMs);
      };
      watch();
      carriage.listen((word) => {
        watch();
        if (word.type === 'sent' || word.type === 'done') this.#count(word);
        if (word.type === 'done')
          resolve({ bytesSent: word.bytes, imageBytes: word.imageBytes, sendMs: word.sendMs });
        if (word.type === 'failed') reject(new ChannelError(word.reason));
      });
      void carriage.carrier.ended.then((why) => reject(new ChannelError(why)));
    });
  }

  #count({ bytes }: Extract<SenderWord, { bytes: number }>): void {
    this.#options.onBytes(bytes - this.bytes);
    this.bytes = bytes;
  }

  /** A refusal by the target explains a broken connection; an abort explains everything. */
  async #cause(error: unknown, reply: Promise<void>): Promise<unknown> {
    const { signal } = this.#options;
    if (signal.aborted) return abortFailure(signal);
    if (error instanceof CmtError) return error;
    const refusal = await within(reply, { ms: REFUSAL_MS }).catch((why: unknown) => why);
    return refusal instanceof CmtError ? refusal : error;
  }
}

async function replyOn(channel: Channel): Promise<void> {
  const answer = await expectMessage(channel, ImagesToSource, {});
  if (answer.type === 'failed') throw new CmtError(answer.failure.code, answer.failure.details);
  if (answer.type !== 'received')
    throw channel.fail('the other side sent a message that is not expected here');
}
