/**
 * One channel: frames in both directions over a byte stream, whichever transport it came from.
 *
 * INVARIANTS
 * - One reader: `next` is never called while another `next` waits.
 * - At most HIGH_WATER bytes wait in memory; beyond that the stream is paused and the sender blocks.
 * - Every wait ends when the stream closes; no `error` event is ever left without a listener.
 */
import type { Duplex } from 'node:stream';
import { encodeMessage, FrameError, FrameParser } from './frames.ts';
import type { Frame, FrameLimits } from './frames.ts';

const HIGH_WATER = 2 * 1024 * 1024;
const LOW_WATER = 512 * 1024;

/** The channel ended where it should not have. */
export class ChannelError extends Error {
  override readonly name = 'ChannelError';
}

export class Channel {
  readonly #stream: Duplex;
  readonly #parser: FrameParser;
  readonly #blocked = new Set<(error: Error) => void>();
  #wake: (() => void) | null = null;
  #ended = false;
  #failure: ChannelError | null = null;
  #closed = false;
  #framed = true;
  readonly #onData = (bytes: Buffer): void => this.#arrived(bytes);
  /** Resolves when the stream is closed, for whatever reason. */
  readonly closed: Promise<void>;

  constructor(stream: Duplex, limits: FrameLimits) {
    this.#stream = stream;
    this.#parser = new FrameParser(limits);
    stream.on('data', this.#onData);
    stream.on('end', () => this.#over());
    stream.on('error', (error: Error) => this.fail(error.message));
    this.closed = new Promise((resolve) => {
      stream.once('close', () => {
        this.#closed = true;
        this.#over();
        this.#unblock(new ChannelError(this.#failure?.message ?? 'the channel was closed'));
        resolve();
      });
    });
  }

  get isOpen(): boolean {
    return !this.#closed && !this.#ended && this.#failure === null;
  }

  allow(limits: FrameLimits): void {
    this.#parser.limits = limits;
  }

  /** The next frame, or null after an orderly end. @throws ChannelError */
  async next(): Promise<Frame | null> {
    for (;;) {
      const frame = this.#parse();
      if (frame !== null) return frame;
      if (this.#failure !== null) throw this.#failure;
      if (this.#ended && this.#parser.atBoundary) return null;
      if (this.#ended) throw this.fail('it ended in the middle of a frame');
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Sends a message; small, so nobody waits for it. Does nothing on a closed channel. */
  send(message: object): void {
    if (!this.#closed && this.#stream.writable) this.#stream.write(encodeMessage(message));
  }

  /** Sends bytes as they are; resolves when they may be overwritten. @throws ChannelError */
  write(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed || !this.#stream.writable) {
        reject(this.#failure ?? new ChannelError('the channel was closed'));
        return;
      }
      this.#blocked.add(reject);
      this.#stream.write(bytes, (error) => {
        this.#blocked.delete(reject);
        if (error) reject(new ChannelError(error.message));
        else resolve();
      });
    });
  }

  /** Ends the channel as broken and returns the error that every reader gets. */
  fail(reason: string): ChannelError {
    this.#failure ??= new ChannelError(reason);
    this.destroy();
    this.#over();
    return this.#failure;
  }

  /** Ends this side and reads on without keeping anything, so that what was said last reaches the other side. */
  endAndIgnore(): void {
    this.#stream.off('data', this.#onData);
    this.#stream.on('data', () => undefined);
    this.#stream.resume();
    this.end();
  }

  /** Ends this side; what was sent still arrives. */
  end(): void {
    if (!this.#closed) this.#stream.end();
  }

  destroy(): void {
    this.#stream.destroy();
    this.#unblock(this.#failure ?? new ChannelError('the channel was closed'));
  }

  /** Hands the stream over, unframed from here on. Its `error` events stay heard. @throws ChannelError when it has ended already */
  detach(): Duplex {
    if (this.#ended) throw this.#failure ?? new ChannelError('the channel was closed');
    this.#framed = false;
    this.#stream.off('data', this.#onData);
    this.#stream.pause();
    if (this.#parser.queued > 0) this.#stream.unshift(this.#parser.rest());
    return this.#stream;
  }

  #arrived(bytes: Buffer): void {
    this.#parser.push(bytes);
    if (this.#parser.queued > HIGH_WATER) this.#stream.pause();
    this.#notify();
  }

  #parse(): Frame | null {
    try {
      const frame = this.#parser.next();
      if (this.#parser.queued < LOW_WATER && this.#stream.isPaused()) this.#stream.resume();
      return frame;
    } catch (error) {
      if (error instanceof FrameError) throw this.fail(`the other side sent ${error.message}`);
      throw error;
    }
  }

  #over(): void {
    this.#ended = true;
    if (this.#framed) this.end();
    this.#notify();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }

  #unblock(error: Error): void {
    for (const reject of this.#blocked) reject(error);
    this.#blocked.clear();
  }
}
