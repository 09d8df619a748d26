/**
 * Short messages between processes over Redis pub/sub. They only hurry: each has a durable twin (a key, a finished job)
 * that is looked at now and then, so a lost message costs time and nothing else.
 */
import { HostName, keys, MigrationId } from '@cmt/contracts';
import type { Redis } from 'ioredis';
import { EventEmitter } from 'node:events';
import type { Logger } from 'pino';
import { z } from 'zod';

/**
 * To coordinators: somebody wants the end of a migration, or another tuning; the links are shared by others than before; a schedule was
 * removed. To workers: a coordinator obeys a tuning. To a worker: stop this leg.
 */
export const Control = z.discriminatedUnion('kind', [
  z.object({ kind: z.enum(['cancel', 'tune', 'tuned']), migration: MigrationId }),
  z.object({ kind: z.enum(['flows', 'schedules']) }),
  z.object({ kind: z.literal('stop'), host: HostName, leg: z.string(), reason: z.string() }),
]);
export type Control = z.infer<typeof Control>;

/** A leg has ended: its result is in its job. */
interface Wake {
  readonly host: HostName;
  readonly leg: string;
}

/** A subscriber has no commands under way whose silence could be noticed, so it asks. Milliseconds. */
const PING_MS = 5_000;

export const sendControl = async (redis: Redis, control: Control): Promise<void> => {
  await redis.publish(keys.control, JSON.stringify(control));
};

export const sendWake = async (redis: Redis, wake: Wake): Promise<void> => {
  await redis.publish(keys.wake, wakeText(wake));
};

export class Bus {
  readonly #subscriber: Redis;
  readonly #heard = new EventEmitter().setMaxListeners(0);
  readonly #ping: NodeJS.Timeout;
  readonly #logger: Logger;

  /** Listens on a connection of its own, made like `redis`; listens again by itself after an outage. */
  constructor(redis: Redis, channels: readonly ('control' | 'wake')[], logger: Logger) {
    this.#logger = logger;
    this.#subscriber = redis.duplicate();
    this.#subscriber.on('error', (error: Error) => logger.debug({ reason: error.message }, 'Redis is away'));
    this.#subscriber.on('message', (channel, text) => this.#receive(channel, text));
    this.#subscriber.on('ready', () => {
      this.#subscriber.subscribe(...channels.map((channel) => keys[channel])).then(
        () => this.#heard.emit('listening'),
        () => undefined,
      );
    });
    this.#ping = setInterval(() => void this.#subscriber.ping().catch(() => undefined), PING_MS);
  }

  onControl(listener: (control: Control) => void): () => void {
    this.#heard.on('control', listener);
    return () => this.#heard.off('control', listener);
  }

  /** Calls back whenever messages are heard from now on, at first and after an outage: what was said before was missed. */
  onListening(listener: () => void): void {
    this.#heard.on('listening', listener);
  }

  /** Calls back whenever that leg is said to have ended. */
  onWake(host: HostName, leg: string, listener: () => void): () => void {
    const event = wakeEvent(wakeText({ host, leg }));
    this.#heard.on(event, listener);
    return () => this.#heard.off(event, listener);
  }

  close(): void {
    clearInterval(this.#ping);
    this.#subscriber.disconnect();
  }

  #receive(channel: string, text: string): void {
    // Every coordinator hears of every leg, and nearly all are nobody's here: not even read.
    if (channel === keys.wake) return void this.#heard.emit(wakeEvent(text));
    try {
      this.#heard.emit('control', Control.parse(JSON.parse(text)));
    } catch (error) {
      this.#logger.warn({ err: error, channel }, 'a message that nobody understands');
    }
  }
}

/** One text for one leg: who waits for it knows it by that. */
const wakeText = ({ host, leg }: Wake): string => JSON.stringify({ host, leg });
const wakeEvent = (text: string): string => `wake ${text}`;
