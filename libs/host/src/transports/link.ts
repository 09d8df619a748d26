/**
 * The source's link to one prepared migration on the target: a wire, its control channel, and what was opened ahead.
 *
 * INVARIANTS
 * - When the control channel ends the link is broken for good: every wait ends, and `Links.get` makes a new one.
 * - A channel opened ahead is used once, by whoever asks first, and dropped when the target closes it.
 */
import { CmtError } from '@cmt/contracts';
import { Bandwidth } from './bandwidth.ts';
import type { Rate } from './bandwidth.ts';
import { ChannelError } from './channel.ts';
import type { Channel } from './channel.ts';
import { openCarriage } from './carry.ts';
import { openPageStream } from './carry-pages.ts';
import { ControlClient } from './control.ts';
import { openChannel } from './handshake.ts';
import type { Asker } from './handshake.ts';
import { abortFailure } from './limits.ts';
import type { Timings } from './limits.ts';
import type { Purpose } from './messages.ts';
import type { PageStream } from './page-stream.ts';
import { sendFiles } from './send-files.ts';
import { sendWhenOpen } from './sending.ts';
import type { Opened } from './sending.ts';
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
  readonly #ahead = new Map<string, Promise<Opened>>();
  readonly #bandwidth = new Bandwidth();
  #control: ControlClient | null = null;
  #closing: Promise<void> | null = null;
  #bytes = 0;
  clockOffsetMs = 0;
  uncarried: string | null;

  constructor(asker: Asker, wire: Wire, timings: Timings) {
    this.#asker = asker;
    this.#wire = wire;
    this.#timings = timings;
    this.uncarried = wire.way === 'direct' ? null : 'bytes go through the client';
  }

  get bandwidth(): Rate {
    return this.#bandwidth.asked;
  }

  set bandwidth(rate: Rate) {
    this.#bandwidth.asked = rate;
  }

  get share(): Rate {
    return this.#bandwidth.share;
  }

  set share(rate: Rate) {
    this.#bandwidth.share = rate;
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
    return sendWhenOpen(this.#take({ kind: 'images', name }, signal), {
      ...{ directory, signal, bandwidth: this.#bandwidth, stallMs: this.#timings.stall },
      onBytes: (count) => (this.#bytes += count),
      explain: (error) => this.#explain(error),
    });
  }

  async syncFiles(directory: string, signal: AbortSignal): Promise<{ bytes: number }> {
    const { channel } = await this.#take({ kind: 'files' }, signal);
    const sent = await sendFiles(channel.detach(), { directory, bandwidth: this.#bandwidth }, signal);
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

  async openPages(rateFile: string, signal: AbortSignal): Promise<PageStream> {
    const { host, route } = this.#asker;
    try {
      if (this.way === 'relayed') throw new ChannelError('bytes go through the client');
      const channel = await this.#open({ kind: 'pages' }, signal);
      const { handshake: ms, pagesSilence } = this.#timings;
      return await openPageStream(channel, this.#asker, { rateFile, pagesSilence }, { ms, signal });
    } catch (error) {
      if (signal.aborted) throw abortFailure(signal);
      const reason = error instanceof Error ? error.message : String(error);
      throw new CmtError('PAGES_UNREACHABLE', { host, peer: route.peer, reason });
    }
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
    for (const ahead of this.#ahead.values()) void ahead.then(drop).catch(() => undefined);
    this.#ahead.clear();
    await this.#control?.close();
    await this.#wire.close();
  }

  async #openAhead(purpose: Purpose, signal: AbortSignal): Promise<void> {
    const name = nameOf(purpose);
    const known = this.#ahead.get(name);
    const opening = known ?? this.#openFully(purpose, signal);
    const forget = () => {
      if (this.#ahead.get(name) === opening) this.#ahead.delete(name);
    };
    this.#ahead.set(name, opening);
    try {
      const opened = await opening;
      void opened.channel.closed.then(() => {
        if (this.#ahead.get(name) === opening) void drop(opened);
        forget();
      });
    } catch (error) {
      forget();
      throw error;
    }
  }

  async #take(purpose: Purpose, signal: AbortSignal): Promise<Opened> {
    const ahead = this.#ahead.get(nameOf(purpose));
    this.#ahead.delete(nameOf(purpose));
    if (ahead !== undefined) {
      const opened = await ahead;
      if (opened.channel.isOpen) return opened;
      await drop(opened);
    }
    return this.#openFully(purpose, signal);
  }

  /** A channel, and for images a connection of their own. What keeps them from one is remembered: it is tried once for each link. */
  async #openFully(purpose: Purpose, signal: AbortSignal): Promise<Opened> {
    const channel = await this.#open(purpose, signal);
    if (purpose.kind !== 'images' || this.uncarried !== null) return { channel, carriage: null };
    try {
      const limit = { ms: this.#timings.handshake, signal };
      return { channel, carriage: await openCarriage(channel, this.#asker, purpose.name, limit) };
    } catch (error) {
      if (signal.aborted) throw abortFailure(signal);
      this.uncarried = error instanceof Error ? error.message : String(error);
      return { channel: channel.isOpen ? channel : await this.#open(purpose, signal), carriage: null };
    }
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

async function drop({ channel, carriage }: Opened): Promise<void> {
  channel.destroy();
  await carriage?.carrier.kill();
}
