/**
 * One prepared migration on the target: what has arrived, who waits, and how the waiting ends.
 *
 * INVARIANTS
 * - `go` counts only when the `final` images are complete and verified; new `final` images take it back.
 * - A waiter always ends: go, abandon, a source gone for longer than the grace, the session's end, or its own signal.
 * - A source that has not connected since the wait began is not "gone": its leg may still be on the way.
 */
import { CmtError } from '@cmt/contracts';
import { Carriages } from './carriages.ts';
import type { Channel } from './channel.ts';
import { abortFailure } from './limits.ts';
import type { ControlToSource } from './messages.ts';
import type { PageStream } from './page-stream.ts';
import type { Expectation, Session } from './receiver.ts';

interface Waiter {
  resolve(came: { lastByteAt: number }): void;
  reject(error: CmtError): void;
}

export class TargetSession implements Session {
  readonly expectation: Expectation;
  readonly carriages = new Carriages();
  readonly #host: string;
  readonly #graceMs: number;
  readonly #waiters = new Set<Waiter>();
  /** Bytes of images that lie in each directory. */
  readonly #used = new Map<string, number>();
  readonly #verified = new Set<string>();
  readonly #pagesWanted: ((stream: PageStream) => void)[] = [];
  #pages: PageStream | null = null;
  #source = 'the source';
  #control: Channel | null = null;
  #grace: NodeJS.Timeout | undefined;
  #armed = false;
  #went = false;
  #abandoned: string | null = null;
  #ended: CmtError | null = null;
  #lastByteAt = 0;
  #bytes = 0;

  constructor(expectation: Expectation, host: string, graceMs: number) {
    this.expectation = expectation;
    this.#host = host;
    this.#graceMs = graceMs;
  }

  arm(): void {
    this.#armed = true;
    this.#tell({ type: 'armed' });
  }

  complete(signal: AbortSignal): Promise<{ lastByteAt: number }> {
    return new Promise((resolve, reject) => {
      const onAbort = () => waiter.reject(abortFailure(signal));
      const leave = () => {
        signal.removeEventListener('abort', onAbort);
        this.#waiters.delete(waiter);
        if (this.#waiters.size === 0) clearTimeout(this.#grace);
      };
      const waiter: Waiter = {
        resolve: (came) => {
          leave();
          resolve(came);
        },
        reject: (error) => {
          leave();
          this.#disarm();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
      this.#settle();
    });
  }

  pages(): Promise<PageStream> {
    const opened = this.#pages;
    return opened === null
      ? new Promise((resolve) => this.#pagesWanted.push(resolve))
      : Promise.resolve(opened);
  }

  /** The way of pages is open; an earlier one is over unless CRIU has it. */
  async pagesOpened(stream: PageStream): Promise<void> {
    const earlier = this.#pages;
    this.#pages = stream;
    await (this.#ended === null ? earlier?.close() : stream.close());
    for (const resolve of this.#pagesWanted.splice(0)) resolve(stream);
  }

  /** The source's control channel is open; it takes back an earlier abandonment. */
  connected(control: Channel, source: string): void {
    clearTimeout(this.#grace);
    this.#control = control;
    this.#source = source;
    this.#abandoned = null;
    if (this.#armed) this.#tell({ type: 'armed' });
  }

  /** That control channel is closed. */
  disconnected(control: Channel): void {
    if (this.#control !== control) return;
    this.#control = null;
    if (this.#went || this.#waiters.size === 0) return;
    const gone = () => this.#rejectAll(this.broken('the source closed the connection and did not come back'));
    this.#grace = setTimeout(gone, this.#graceMs);
  }

  abandon(reason: string): void {
    this.#abandoned = reason;
    this.#settle();
  }

  /** The source says that everything is here. @throws CmtError TRANSFER_BROKEN when it is not */
  go(): void {
    if (!this.#verified.has('final')) throw this.broken('the source said go before its images were complete');
    this.#went = true;
    this.#tell({ type: 'going' });
    this.#settle();
  }

  /** Images of this name begin to arrive, from nothing. */
  imagesBegin(name: string): void {
    this.#used.set(name, 0);
    this.#verified.delete(name);
    if (name === 'final') this.#went = false;
  }

  /** Bytes of an image arrived. @throws CmtError TARGET_FULL when they exceed the quota */
  imagesGrow(name: string, bytes: number): void {
    const all = [...this.#used.values()].reduce((sum, used) => sum + used, bytes);
    if (all > this.expectation.quota) throw this.full(all);
    this.#used.set(name, (this.#used.get(name) ?? 0) + bytes);
    this.byteArrived(bytes);
  }

  /** Bytes that may still arrive. */
  imagesRoom(): number {
    return [...this.#used.values()].reduce((room, used) => room - used, this.expectation.quota);
  }

  /** More has arrived than was reserved. */
  full(need: number): CmtError {
    const { quota, images } = this.expectation;
    return new CmtError('TARGET_FULL', { host: this.#host, free: quota, path: images, need });
  }

  /** The file system of the images is full. */
  noSpace(): CmtError {
    const { quota, images } = this.expectation;
    return new CmtError('TARGET_FULL', { host: this.#host, free: 0, path: images, need: quota });
  }

  imagesVerified(name: string): void {
    this.#verified.add(name);
  }

  byteArrived(count: number): void {
    this.#bytes += count;
    this.#lastByteAt = Date.now();
  }

  /** The session is over: nobody may wait for it any more. */
  end(error: CmtError): void {
    this.#ended ??= error;
    void this.#pages?.close();
    this.#settle();
  }

  broken(reason: string): CmtError {
    return new CmtError('TRANSFER_BROKEN', {
      host: this.#source,
      peer: this.#host,
      bytes: this.#bytes,
      reason,
    });
  }

  #settle(): void {
    if (this.#waiters.size === 0) return;
    if (this.#ended !== null) this.#rejectAll(this.#ended);
    else if (this.#went)
      for (const waiter of [...this.#waiters]) waiter.resolve({ lastByteAt: this.#lastByteAt });
    else if (this.#abandoned !== null) {
      const reason = this.#abandoned;
      // Whoever waits for the next try must not fail for this one.
      this.#abandoned = null;
      this.#rejectAll(this.broken(`the source gave up: ${reason}`));
    }
  }

  #rejectAll(error: CmtError): void {
    for (const waiter of [...this.#waiters]) waiter.reject(error);
  }

  #disarm(): void {
    if (!this.#armed) return;
    this.#armed = false;
    this.#tell({ type: 'disarmed' });
  }

  #tell(message: ControlToSource): void {
    this.#control?.send(message);
  }
}
