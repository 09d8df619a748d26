/**
 * The carrier of pages: whatever CRIU writes to its end of a local socket reaches the CRIU of the other host, and back.
 *
 * INVARIANTS
 * - Nothing reaches CRIU that the other carrier has not sealed, in its order (sealed.ts); each direction has a key of its own.
 * - A frame is sealed and handed to the connection in one go: frames leave in the order in which they were counted.
 * - Nothing is read into a place before what lay there has been sealed, or opened and handed on.
 * - It ends with its connection, with CRIU's end of the socket, or when the other carrier is silent; CRIU sees that as a hang-up.
 * - Until it is told to stay it ends with its worker; afterwards it needs nobody.
 */
import { once } from 'node:events';
import { watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Socket, type OnReadOpts, type SocketConstructorOpts } from 'node:net';
import { basename, dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pacer } from '../pacer.ts';
import { CONNECTION, hear, LOCAL, say } from './descriptors.ts';
import { PagesOrder, Rate, SealedPages } from './messages.ts';
import { keyTowards, Opener, Sealer } from './sealed.ts';
import { SealedFrames, type OpenedFrame } from './sealed-frames.ts';

/** Beats in the time after which silence means death. */
const BEATS = 6;
/** Milliseconds that the other side gets to close, once this one has ended well. */
const FAREWELL_MS = 5_000;
/** Read from CRIU at once: more than its socket holds. */
const READ_BYTES = 256 * 1024;
/** Bytes that may wait for whoever takes them while the next are made ready. */
const AHEAD_BYTES = 1024 * 1024;

type Begin = Extract<PagesOrder, { type: 'begin' }>;

export function runPages(): void {
  let kept = false;
  hear(
    (line) => {
      const order = PagesOrder.parse(line);
      if (order.type === 'keep') kept = true;
      else {
        void relay(order).then((code) => process.exit(code));
        say({ type: 'ready' });
      }
    },
    () => {
      if (!kept) process.exit(1);
    },
  );
}

/** @returns the exit code */
async function relay(order: Begin): Promise<number> {
  const pacer = new Pacer(null);
  if (order.rateFile !== null) await followRate(order.rateFile, pacer);
  return await new Relay(order, pacer).run();
}

/**
 * A socket that reads into a place of ours; `callback` says whether to go on, and `resume` does. A stream's own reading takes a buffer
 * for every 64 KiB, and twice the processor's time for each page.
 */
function openSocket(fd: number, onread: OnReadOpts): Socket {
  // Node 20 takes it as its later versions document it; its types know it of `connect` only.
  const options: SocketConstructorOpts & { onread: OnReadOpts; writableHighWaterMark: number } = {
    ...{ fd, readable: true, writable: true, allowHalfOpen: true },
    ...{ onread, writableHighWaterMark: AHEAD_BYTES },
  };
  return new Socket(options).on('error', () => undefined);
}

class Relay {
  readonly #wire: Socket;
  readonly #local: Socket;
  readonly #sealer: Sealer;
  readonly #frames: SealedFrames;
  readonly #lastHeard = new AbortController();
  #heardAt = performance.now();

  constructor(
    private readonly order: Begin,
    private readonly pacer: Pacer,
  ) {
    const key = Buffer.from(order.key, 'base64');
    const other = order.side === 'source' ? 'target' : 'source';
    this.#sealer = new Sealer(keyTowards(other, key));
    const frames = new SealedFrames(new Opener(keyTowards(order.side, key)));
    this.#frames = frames;
    const pages = Buffer.allocUnsafeSlow(READ_BYTES);
    this.#wire = openSocket(CONNECTION, {
      buffer: () => frames.room(),
      callback: (count) => this.#fromHost(count),
    });
    this.#local = openSocket(LOCAL, {
      buffer: pages,
      callback: (count) => this.#fromCriu(pages.subarray(0, count)),
    });
  }

  /** @returns the exit code */
  async run(): Promise<number> {
    const beat = setInterval(() => this.#beat(), this.order.silenceMs / BEATS);
    try {
      const both = [this.#outward(), this.#inward()];
      await Promise.race(both);
      await Promise.race([Promise.all(both), sleep(FAREWELL_MS)]);
      return 0;
    } catch {
      return 1;
    } finally {
      clearInterval(beat);
      this.#wire.destroy();
      this.#local.destroy();
    }
  }

  /** From CRIU to the other host, until CRIU hangs up. */
  async #outward(): Promise<void> {
    await once(this.#local, 'end');
    this.#tell({ type: 'end' });
    this.#wire.end();
  }

  /** From the other host to CRIU, until the other CRIU hangs up. */
  async #inward(): Promise<void> {
    const early = once(this.#wire, 'end').then(() => Promise.reject(new Error('the connection ended early')));
    await Promise.race([once(this.#lastHeard.signal, 'abort'), early]);
  }

  /** @returns whether to go on reading; if not, that comes by itself */
  #fromCriu(pages: Buffer): boolean {
    const wait = this.pacer.delay(pages.length, performance.now());
    if (wait === 0) return this.#send(pages);
    setTimeout(() => {
      if (this.#send(pages)) this.#local.resume();
    }, wait);
    return false;
  }

  #send(pages: Buffer): boolean {
    if (this.#write(this.#sealer.seal('bytes', 0, pages))) return true;
    this.#wire.once('drain', () => this.#local.resume());
    return false;
  }

  /** @returns whether to go on reading; if not, that comes by itself, if anything may come still */
  #fromHost(count: number): boolean {
    this.#heardAt = performance.now();
    this.#frames.filled(count);
    try {
      for (let frame = this.#frames.next(); frame !== null; frame = this.#frames.next()) this.#take(frame);
    } catch (error) {
      this.#wire.destroy(error instanceof Error ? error : new Error(String(error)));
    }
    if (!this.#local.writableNeedDrain) return !this.#wire.destroyed;
    this.#local.once('drain', () => this.#wire.resume());
    return false;
  }

  #take({ kind, plain }: OpenedFrame): void {
    if (kind === 'bytes') this.#local.write(plain);
    else if (SealedPages.parse(JSON.parse(plain.toString('utf8'))).type === 'end') {
      this.#local.end();
      this.#lastHeard.abort();
    }
  }

  #beat(): void {
    // A CRIU that takes nothing keeps this side from hearing: that is no silence.
    if (this.#local.writableNeedDrain) this.#heardAt = performance.now();
    if (performance.now() - this.#heardAt > this.order.silenceMs) process.exit(1);
    if (this.#wire.writable) this.#tell({ type: 'beat' });
  }

  #tell(message: SealedPages): void {
    this.#write(this.#sealer.seal('message', 0, Buffer.from(JSON.stringify(message))));
  }

  /** @returns whether more may be written at once; if not, `drain` says when */
  #write(frame: readonly Buffer[]): boolean {
    this.#wire.cork();
    for (const piece of frame) this.#wire.write(piece);
    this.#wire.uncork();
    return !this.#wire.writableNeedDrain;
  }
}

/** Whoever tunes it writes the file: this process needs no worker. What cannot be read changes nothing. */
async function followRate(file: string, pacer: Pacer): Promise<void> {
  const read = async (): Promise<void> => {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text !== '') pacer.rate = Rate.parse(JSON.parse(text));
  };
  const changes = watch(dirname(file), (_, name) => {
    if (name === basename(file)) read().catch(() => undefined);
  });
  changes.on('error', () => undefined);
  await read();
}
