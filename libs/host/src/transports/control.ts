/**
 * Source: the control channel. Echoes measure the target's clock and show that both ends live; the rest is four words:
 * armed, go, going, abandon.
 */
import { CmtError } from '@cmt/contracts';
import { ChannelError } from './channel.ts';
import type { Channel } from './channel.ts';
import { expectMessage } from './handshake.ts';
import { within } from './limits.ts';
import type { Timings } from './limits.ts';
import { ControlToSource } from './messages.ts';
import type { ControlToTarget } from './messages.ts';

const ECHOES = 5;
/** Milliseconds for what was said last to arrive when the link closes. */
const FAREWELL_MS = 1000;

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

export class ControlClient {
  readonly #channel: Channel;
  readonly #timings: Timings;
  readonly #armedWaiters = new Set<Waiter>();
  readonly #goWaiters = new Set<Waiter>();
  #armed = false;
  #gone: Error | null = null;
  #beat: NodeJS.Timeout | undefined;

  constructor(channel: Channel, timings: Timings) {
    this.#channel = channel;
    this.#timings = timings;
  }

  get isOpen(): boolean {
    return this.#gone === null && this.#channel.isOpen;
  }

  /** Target's clock minus this one in milliseconds: of a few echoes the quickest is the truest. Call before `keepAlive`. */
  async measureClock(signal: AbortSignal): Promise<number> {
    let best = { roundTrip: Infinity, offset: 0 };
    for (let count = 0; count < ECHOES; count += 1) {
      this.#echo();
      const { sentAt, at } = await this.#nextEcho(signal);
      const now = Date.now();
      if (now - sentAt < best.roundTrip) best = { roundTrip: now - sentAt, offset: at - (sentAt + now) / 2 };
    }
    return best.offset;
  }

  /** Listens from now on, and makes sure that both ends notice when the other is gone. */
  keepAlive(): void {
    this.#beat = setInterval(() => this.#echo(), this.#timings.heartbeat);
    void this.#listen();
  }

  armed(signal: AbortSignal): Promise<void> {
    return this.#armed && this.isOpen ? Promise.resolve() : this.#wait(this.#armedWaiters, signal);
  }

  go(signal: AbortSignal): Promise<void> {
    const going = this.#wait(this.#goWaiters, signal, this.#timings.stall);
    this.#say({ type: 'go' });
    return going;
  }

  abandon(reason: string): void {
    this.#say({ type: 'abandon', reason: reason.slice(0, 1000) });
  }

  async close(): Promise<void> {
    this.#channel.end();
    await within(this.#channel.closed, { ms: FAREWELL_MS }).catch(() => undefined);
    this.#channel.destroy();
    this.#end(new ChannelError('the link was closed'));
  }

  async #nextEcho(signal: AbortSignal): Promise<{ sentAt: number; at: number }> {
    for (;;) {
      const message = await expectMessage(this.#channel, ControlToSource, {
        ms: this.#timings.handshake,
        signal,
      });
      if (message.type === 'echo') return message;
      this.#hear(message);
    }
  }

  async #listen(): Promise<void> {
    try {
      for (;;) this.#hear(await expectMessage(this.#channel, ControlToSource, { ms: this.#timings.silence }));
    } catch (error) {
      this.#end(error as Error);
    }
  }

  #hear(message: ControlToSource): void {
    if (message.type === 'armed') this.#arm();
    else if (message.type === 'disarmed') this.#armed = false;
    else if (message.type === 'going') release(this.#goWaiters);
    else if (message.type === 'failed') {
      const { code, details } = message.failure;
      refuse(this.#goWaiters, new CmtError(code, details));
    }
  }

  #arm(): void {
    this.#armed = true;
    release(this.#armedWaiters);
  }

  #end(error: Error): void {
    this.#gone ??= error;
    clearInterval(this.#beat);
    refuse(this.#armedWaiters, this.#gone);
    refuse(this.#goWaiters, this.#gone);
  }

  #wait(waiters: Set<Waiter>, signal: AbortSignal, ms?: number): Promise<void> {
    if (this.#gone !== null) return Promise.reject(this.#gone);
    let waiter: Waiter | undefined;
    const work = new Promise<void>((resolve, reject) => {
      waiter = { resolve, reject };
      waiters.add(waiter);
    });
    const late = () => new ChannelError('the target does not answer');
    return within(work, { signal, ms, late }).finally(() => waiter && waiters.delete(waiter));
  }

  #echo(): void {
    this.#say({ type: 'echo', sentAt: Date.now() });
  }

  #say(message: ControlToTarget): void {
    this.#channel.send(message);
  }
}

function release(waiters: Set<Waiter>): void {
  for (const waiter of waiters) waiter.resolve();
}

function refuse(waiters: Set<Waiter>, error: Error): void {
  for (const waiter of waiters) waiter.reject(error);
}
