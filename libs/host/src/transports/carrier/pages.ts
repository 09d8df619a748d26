/**
 * The carrier of pages: whatever CRIU writes to its end of a local socket reaches the CRIU of the other host, and back.
 *
 * INVARIANTS
 * - Nothing reaches CRIU that the other carrier has not sealed, in its order (sealed.ts); each direction has a key of its own.
 * - A frame is sealed and handed to the connection in one go: frames leave in the order in which they were counted.
 * - It ends with its connection, with CRIU's end of the socket, or when the other carrier is silent; CRIU sees that as a hang-up.
 * - Until it is told to stay it ends with its worker; afterwards it needs nobody.
 */
import { once } from 'node:events';
import { watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pacer } from '../pacer.ts';
import { CONNECTION, hear, LOCAL, say } from './descriptors.ts';
import { PagesOrder, Rate, SealedPages } from './messages.ts';
import { keyTowards, Opener, Sealer } from './sealed.ts';
import { SealedFrames } from './sealed-frames.ts';

/** Beats in the time after which silence means death. */
const BEATS = 6;
/** Milliseconds that the other side gets to close, once this one has ended well. */
const FAREWELL_MS = 5_000;

type Begin = Extract<PagesOrder, { type: 'begin' }>;

export function runPages(): void {
  let kept = false;
  hear(
    (line) => {
      const order = PagesOrder.parse(line);
      if (order.type === 'keep') kept = true;
      else {
        void new Relay(order).run().then((code) => process.exit(code));
        say({ type: 'ready' });
      }
    },
    () => {
      if (!kept) process.exit(1);
    },
  );
}

class Relay {
  readonly #wire = new Socket({ fd: CONNECTION, readable: true, writable: true, allowHalfOpen: true });
  readonly #local = new Socket({ fd: LOCAL, readable: true, writable: true, allowHalfOpen: true });
  readonly #sealer: Sealer;
  readonly #frames: SealedFrames;
  readonly #pacer = new Pacer(null);
  #heardAt = performance.now();

  constructor(private readonly order: Begin) {
    const key = Buffer.from(order.key, 'base64');
    const other = order.side === 'source' ? 'target' : 'source';
    this.#sealer = new Sealer(keyTowards(other, key));
    this.#frames = new SealedFrames(new Opener(keyTowards(order.side, key)));
    for (const socket of [this.#wire, this.#local]) socket.on('error', () => undefined);
  }

  /** @returns the exit code */
  async run(): Promise<number> {
    const beat = setInterval(() => this.#beat(), this.order.silenceMs / BEATS);
    try {
      if (this.order.rateFile !== null) await this.#followRate(this.order.rateFile);
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

  /** Whoever tunes it writes the file: this process needs no worker. What cannot be read changes nothing. */
  async #followRate(file: string): Promise<void> {
    const read = async (): Promise<void> => {
      const text = await readFile(file, 'utf8').catch(() => '');
      if (text !== '') this.#pacer.rate = Rate.parse(JSON.parse(text));
    };
    const changes = watch(dirname(file), (_, name) => {
      if (name === basename(file)) read().catch(() => undefined);
    });
    changes.on('error', () => undefined);
    await read();
  }

  /** From CRIU to the other host. */
  async #outward(): Promise<void> {
    for await (const bytes of this.#local.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      const wait = this.#pacer.delay(bytes.length, performance.now());
      if (wait > 0) await sleep(wait);
      if (!this.#write(this.#sealer.seal('bytes', 0, bytes))) await once(this.#wire, 'drain');
    }
    this.#tell({ type: 'end' });
    this.#wire.end();
  }

  /** From the other host to CRIU. */
  async #inward(): Promise<void> {
    for await (const bytes of this.#wire.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      this.#frames.push(bytes);
      for (let frame = this.#frames.next(); frame !== null; frame = this.#frames.next()) {
        if (frame.kind === 'bytes') await this.#hand(frame.plain);
        else if (SealedPages.parse(JSON.parse(frame.plain.toString('utf8'))).type === 'end') {
          this.#local.end();
          return;
        }
      }
      this.#heardAt = performance.now();
    }
    throw new Error('the connection ended early');
  }

  /** A CRIU that takes nothing keeps this side from hearing: that is no silence. */
  async #hand(plain: Buffer): Promise<void> {
    if (this.#local.write(plain)) return;
    const waits = setInterval(() => (this.#heardAt = performance.now()), this.order.silenceMs / BEATS);
    await once(this.#local, 'drain').finally(() => clearInterval(waits));
  }

  #beat(): void {
    if (performance.now() - this.#heardAt > this.order.silenceMs) process.exit(1);
    if (this.#wire.writable) this.#tell({ type: 'beat' });
  }

  #tell(message: SealedPages): void {
    this.#write(this.#sealer.seal('message', 0, Buffer.from(JSON.stringify(message))));
  }

  #write(frame: readonly Buffer[]): boolean {
    this.#wire.cork();
    const isRoom = frame.map((piece) => this.#wire.write(piece)).at(-1) ?? true;
    this.#wire.uncork();
    return isRoom;
  }
}
