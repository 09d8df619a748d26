/**
 * The source's link to one prepared migration on the target: a wire, its control channel, and what was opened ahead.
 *
 * INVARIANTS
 * - When the control channel ends the link is broken for good: every wait ends, and `Links.get` makes a new one.
 * - A channel opened ahead is used once, by whoever asks first, and dropped when the target closes it.
 */
import { CmtError } from '@cmt/contracts';
import { ChannelError } from './channel.ts';
import type { Channel } from './channel.ts';
import { ControlClient } from './control.ts';
import { openChannel } from './handshake.ts';
import type { Asker } from './handshake.ts';
import { abortFailure } from './limits.ts';
import type { Timings } from './limits.ts';
import type { Purpose } from './messages.ts';
import { sendFiles } from './send-files.ts';
import { sendImages } from './send-images.ts';
import type { ImageSending, Link, Transport, Way, Wire } from './transport.ts';

/** Connects to a target and measures its clock. @throws CmtError what the transport throws, or what the target refuses with */
export async function openLink(
  asker: Asker,
  transport: Transport,
  timings: Timings,
  signal: AbortSignal,
): Promise<HostLink> {
  const wire = await transport.connect(asker.route, signal);
  const link = new HostLink(asker, wire, timings);
  try {
    await link.start(signal);
    return link;
  } catch (error) {
    await link.close();
    throw error;
  }
}

export class HostLink implements Link {
  readonly #asker: Asker;
  readonly #wire: Wire;
  readonly #timings: Timings;
  /** By purpose; see `nameOf`. */
  readonly #ahead = new Map<string, Promise<Channel>>();
  #control: ControlClient | null = null;
  #closing: Promise<void> | null = null;
  #bytes = 0;
  clockOffsetMs = 0;

  constructor(asker: Asker, wire: Wire, timings: Timings) {
    this.#asker = asker;
    this.#wire = wire;
    this.#timings = timings;
  }

  get way(): Way {
    return this.#wire.way;
  }

  get isOpen(): boolean {
    return this.#closing === null && this.#control !== null && this.#control.isOpen;
  }

  async start(signal: AbortSignal): Promise<void> {
    const channel = await this.#open({ kind: 'control' }, signal);
    this.#control = new ControlClient(channel, this.#timings);
    this.clockOffsetMs = await this.#explained(this.#control.measureClock(signal));
    this.#control.keepAlive();
  }

  restorerArmed(signal: AbortSignal): Promise<void> {
    return this.#explained(this.#controlled().armed(signal));
  }

  sendImages(name: string, directory: string, signal: AbortSignal): ImageSending {
    return sendImages({
      channel: this.#take({ kind: 'images', name }, signal),
      directory,
      signal,
      stallMs: this.#timings.stall,
      onBytes: (count) => (this.#bytes += count),
      explain: (error) => this.#explain(error),
    });
  }

  async syncFiles(directory: string, signal: AbortSignal): Promise<{ bytes: number }> {
    const channel = await this.#take({ kind: 'files' }, signal);
    const sent = await sendFiles(channel.detach(), directory, signal);
    if (signal.aborted) throw abortFailure(signal);
    this.#bytes += sent.bytes;
    if (sent.ok) return { bytes: sent.bytes };
    const { host, route } = this.#asker;
    throw new CmtError('FILES_FAILED', { container: directory, host, peer: route.peer, reason: sent.reason });
  }

  async warmUp(signal: AbortSignal): Promise<void> {
    const purposes: Purpose[] = [{ kind: 'images', name: 'final' }, { kind: 'files' }];
    await Promise.all(purposes.map((purpose) => this.#openAhead(purpose, signal)));
  }

  go(signal: AbortSignal): Promise<void> {
    return this.#explained(this.#controlled().go(signal));
  }

  abandon(reason: string): void {
    this.#control?.abandon(reason);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const ahead of this.#ahead.values())
      void ahead.then((channel) => channel.destroy()).catch(() => undefined);
    this.#ahead.clear();
    await this.#control?.close();
    await this.#wire.close();
  }

  async #openAhead(purpose: Purpose, signal: AbortSignal): Promise<void> {
    const name = nameOf(purpose);
    const known = this.#ahead.get(name);
    const opening = known ?? this.#open(purpose, signal);
    const forget = () => {
      if (this.#ahead.get(name) === opening) this.#ahead.delete(name);
    };
    this.#ahead.set(name, opening);
    try {
      const channel = await opening;
      void channel.closed.then(forget);
    } catch (error) {
      forget();
      throw error;
    }
  }

  async #take(purpose: Purpose, signal: AbortSignal): Promise<Channel> {
    const ahead = this.#ahead.get(nameOf(purpose));
    this.#ahead.delete(nameOf(purpose));
    if (ahead !== undefined) {
      const channel = await ahead;
      if (channel.isOpen) return channel;
    }
    return this.#open(purpose, signal);
  }

  async #open(purpose: Purpose, signal: AbortSignal): Promise<Channel> {
    const stream = await this.#wire.open(signal);
    return this.#explained(
      openChannel(stream, this.#asker, purpose, { ms: this.#timings.handshake, signal }),
    );
  }

  #controlled(): ControlClient {
    if (this.#control === null) throw this.#explain(new ChannelError('the link is closed'));
    return this.#control;
  }

  async #explained<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw this.#explain(error);
    }
  }

  #explain(error: unknown): unknown {
    if (!(error instanceof ChannelError)) return error;
    const { host, route } = this.#asker;
    return new CmtError('TRANSFER_BROKEN', {
      host,
      peer: route.peer,
      bytes: this.#bytes,
      reason: error.message,
    });
  }
}

function nameOf(purpose: Purpose): string {
  return purpose.kind === 'images' ? `images/${purpose.name}` : purpose.kind;
}
