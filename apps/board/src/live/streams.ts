/**
 * What browsers are told as it happens: server-sent events (HTML Living Standard, 9.2).
 *
 * INVARIANTS
 * - Streams are counted and bounded, and so is how long each lives: a browser opens the next one by itself.
 * - A browser that does not read is let go instead of being written to without end.
 */
import type { Response } from 'express';
import type { LookOut, Message } from './look-out.ts';

const STREAMS_AT_MOST = 200;
/** Bytes that may wait for a browser. */
const UNREAD_AT_MOST = 8 * 1024 * 1024;
/** Milliseconds: between signs of life, a stream's life, and until a browser opens the next. */
const ALIVE_MS = 15_000;
const LIFE_MS = 30 * 60_000;
const AGAIN_MS = 1_000;

export class Streams {
  readonly #open = new Set<() => void>();

  /** Tells that browser everything that `lookOut` tells, until one of the two ends. */
  send(response: Response, lookOut: LookOut): void {
    if (this.#open.size >= STREAMS_AT_MOST) {
      response.status(503).set('retry-after', '30').send('Too many pages are open.\n');
      return;
    }
    response.status(200).set({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // nginx would keep events until its buffer is full.
      'x-accel-buffering': 'no',
    });
    response.write(`retry: ${AGAIN_MS}\n\n`);
    const stop = lookOut.watch((told) => write(response, told));
    const alive = setInterval(() => response.write(': alive\n\n'), ALIVE_MS);
    const life = setTimeout(() => response.end(), LIFE_MS);
    const end = (): void => {
      stop();
      clearInterval(alive);
      clearTimeout(life);
      this.#open.delete(end);
      response.end();
    };
    this.#open.add(end);
    response.on('close', end);
  }

  /** Ends all of them. */
  close(): void {
    for (const end of [...this.#open]) end();
  }
}

function write(response: Response, { event, data }: Message): void {
  if (response.writableLength > UNREAD_AT_MOST) response.destroy();
  else response.write(`event: ${event}\ndata: ${data}\n\n`);
}
