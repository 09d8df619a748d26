/**
 * The links of this worker: one per migration, of its newest epoch, made when first asked for and kept over the steps of a leg.
 */
import { CmtError } from '@cmt/contracts';
import type { Epoch, HostName, MigrationId, Route, TransportName } from '@cmt/contracts';
import type { Identity } from '../identity.ts';
import { expectMessage, openChannel } from './handshake.ts';
import { DEFAULT_TIMINGS } from './limits.ts';
import type { Timings } from './limits.ts';
import { openLink } from './link.ts';
import type { HostLink } from './link.ts';
import { Withdrawn } from './messages.ts';
import { createSshTransport } from './ssh.ts';
import { createTcpTransport } from './tcp.ts';
import type { Link, Links, Rates, Transport, Verdict } from './transport.ts';

export interface LinksOptions {
  readonly host: HostName;
  readonly identity: Identity;
  /** Private key file; without it ssh-agent at `agent`. */
  readonly sshKey?: string | undefined;
  /** Socket of ssh-agent, usually SSH_AUTH_SOCK. */
  readonly agent?: string | undefined;
  /** known_hosts file with pins beside those of the route. */
  readonly knownHosts?: string | undefined;
  /** Unix socket that leads through the client to the other hosts. */
  readonly relay?: string | undefined;
  readonly timings?: Timings;
}

interface Entry {
  readonly epoch: Epoch;
  readonly route: string;
  readonly opening: Promise<HostLink>;
  link: HostLink | null;
}

/** The links of this host. Nothing is connected before `get`. */
export function createLinks(options: LinksOptions): Links {
  return new HostLinks(options);
}

class HostLinks implements Links {
  readonly #options: LinksOptions;
  readonly #timings: Timings;
  readonly #transports: Readonly<Record<TransportName, Transport>>;
  readonly #entries = new Map<MigrationId, Entry>();

  constructor(options: LinksOptions) {
    this.#options = options;
    this.#timings = options.timings ?? DEFAULT_TIMINGS;
    this.#transports = {
      ssh: createSshTransport({ ...options, timeoutMs: this.#timings.handshake }),
      tcp: createTcpTransport({ host: options.host, timeoutMs: this.#timings.handshake }),
    };
  }

  async get(migration: MigrationId, epoch: Epoch, route: Route, signal: AbortSignal): Promise<Link> {
    const known = this.#entries.get(migration);
    if (known?.epoch === epoch && known.route === whereOf(route)) {
      const link = await known.opening;
      setRates(link, route);
      if (link.isOpen) return link;
    }
    await this.drop(migration);
    const { host, identity } = this.#options;
    const asker = { host, identity, migration, epoch, route };
    const opening = openLink(asker, this.#transports[route.transport], this.#timings, signal);
    const entry: Entry = { epoch, route: whereOf(route), opening, link: null };
    this.#entries.set(migration, entry);
    try {
      entry.link = await opening;
      setRates(entry.link, route);
      return entry.link;
    } catch (error) {
      if (this.#entries.get(migration) === entry) this.#entries.delete(migration);
      throw error;
    }
  }

  async withdraw(migration: MigrationId, epoch: Epoch, route: Route, signal: AbortSignal): Promise<Verdict> {
    const { host, identity } = this.#options;
    const wire = await this.#transports[route.transport].connect(route, signal);
    try {
      const ms = this.#timings.handshake;
      const asker = { host, identity, migration, epoch, route };
      const channel = await openChannel(await wire.open(signal), asker, { kind: 'withdraw' }, { ms, signal });
      const answer = await expectMessage(channel, Withdrawn, { ms: this.#timings.stall, signal });
      channel.end();
      if (answer.type === 'failed') throw new CmtError(answer.failure.code, answer.failure.details);
      return answer.verdict;
    } finally {
      await wire.close();
    }
  }

  tune(migration: MigrationId, { bandwidth, share }: Rates): void {
    const link = this.peek(migration);
    if (link !== null && bandwidth !== undefined) link.bandwidth = bandwidth;
    if (link !== null && share !== undefined) link.share = share;
  }

  peek(migration: MigrationId): Link | null {
    const link = this.#entries.get(migration)?.link ?? null;
    return link?.isOpen ? link : null;
  }

  async drop(migration: MigrationId): Promise<void> {
    const entry = this.#entries.get(migration);
    if (entry === undefined) return;
    this.#entries.delete(migration);
    const link = await entry.opening.catch(() => null);
    await link?.close();
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#entries.keys()].map((migration) => this.drop(migration)));
  }
}

function setRates(link: Link, { bandwidth, share }: Route): void {
  link.bandwidth = bandwidth ?? null;
  link.share = share ?? null;
}

/** A route without what may change about it. */
const whereOf = ({ transport, peer, endpoint }: Route): string => JSON.stringify([transport, peer, endpoint]);
