/** Source: images on their way, by whatever was opened for them. */
import type { Carriage } from './carry.ts';
import type { Channel } from './channel.ts';
import { sendCarried } from './send-carried.ts';
import { sendImages } from './send-images.ts';
import type { SendingOptions } from './send-images.ts';
import type { ImageSending } from './transport.ts';

export interface Opened {
  readonly channel: Channel;
  /** Of images that have a connection of their own. */
  readonly carriage: Carriage | null;
}

/** Starts as soon as it is open; failures are kept for `finish`. */
export function sendWhenOpen(
  opening: Promise<Opened>,
  options: Omit<SendingOptions, 'channel'>,
): ImageSending {
  let sending: ImageSending | null = null;
  const begun = opening.then(
    ({ channel, carriage }) =>
      (sending =
        carriage === null
          ? sendImages({ ...options, channel })
          : sendCarried({ ...options, channel, carriage })),
    (error: unknown) => {
      throw options.explain(error);
    },
  );
  begun.catch(() => undefined);
  return {
    finish: async () => (await begun).finish(),
    cancel: () => void begun.then((one) => one.cancel()).catch(() => undefined),
    get bytesSent() {
      return sending?.bytesSent ?? 0;
    },
  };
}
