/**
 * What this host announces: its facts, its containers, how to reach it.
 *
 * INVARIANT: nothing is asked of the machine while a leg is under way: the blackout shares its cores with nobody.
 */
import {
  JOURNAL_NOTES,
  JournalNote,
  type ContainerNetwork,
  type ContainerSummary,
  type HostFacts,
  type HostRecord,
} from '@cmt/contracts';
import { gatherFacts, withMemory, type JournalEntry, type Runtime } from '@cmt/host';
import type { Logger } from 'pino';
import type { Host } from './host.ts';

/** `criu check` and the versions of tools change rarely; containers come and go. Milliseconds. */
const FACTS_AGE_MS = 60_000;
const CONTAINERS_AGE_MS = 5_000;

/** How long a hand-over that has ended is still told of: longer than somebody who has lost sight of it keeps looking. Milliseconds. */
export const CLOSED_TOLD_MS = 10 * 60_000;

/** Longest that one look at the machine may take. */
const LOOK_LIMIT_MS = 20_000;

export const CMT_VERSION = '0.1.0';

/** Something that is looked up again when it is too old, unless the host is busy. */
class Aged<T> {
  #value: T | undefined;
  #at = -Infinity;

  constructor(
    private readonly maxAgeMs: number,
    private readonly look: (signal: AbortSignal) => Promise<T>,
  ) {}

  /** It has changed: the next look is due. */
  outdate(): void {
    this.#at = -Infinity;
  }

  async get(isBusy: boolean): Promise<T> {
    const old = performance.now() - this.#at > this.maxAgeMs;
    if (this.#value === undefined || (old && !isBusy)) {
      this.#value = await this.look(AbortSignal.timeout(LOOK_LIMIT_MS));
      this.#at = performance.now();
    }
    return this.#value;
  }
}

export interface HostRecords {
  current(): Promise<HostRecord>;
  /** A container came, went, or stopped standing still. */
  containersChanged(): void;
}

/** What only the worker knows about itself. */
/** The record as it is now. */
export function hostRecords(host: Host, isBusy: () => boolean, logger: Logger): HostRecords {
  const startedAt = Date.now();
  const { config, endpoint, runtimes } = host;
  const facts = new Aged<HostFacts>(FACTS_AGE_MS, (signal) => gatherFacts(config, runtimes, signal));
  const containers = new Aged<ContainerSummary[]>(CONTAINERS_AGE_MS, async (signal) =>
    withMemory((await Promise.all(runtimes.all().map((runtime) => listOf(runtime, signal, logger)))).flat()),
  );
  return {
    current: async () => ({
      v: 1,
      facts: await facts.get(isBusy()),
      endpoint,
      containers: await containers.get(isBusy()),
      journal: await notesOf(host, logger),
      labels: config.labels,
      cmtVersion: CMT_VERSION,
      startedAt,
      seenAt: Date.now(),
    }),
    containersChanged: () => containers.outdate(),
  };
}

/** What the journal says, from memory. A journal that cannot be read is silent, and so decides nothing. */
async function notesOf({ journal }: Host, logger: Logger): Promise<JournalNote[]> {
  try {
    const entries = await journal.recent(CLOSED_TOLD_MS);
    return entries
      .sort((a, b) => Number(a.closed) - Number(b.closed) || b.updatedAt - a.updatedAt)
      .slice(0, JOURNAL_NOTES)
      .map(noteOf);
  } catch (error) {
    logger.warn({ err: error }, 'the journal cannot be announced');
    return [];
  }
}

/** What is announced of an entry. */
export const noteOf = (entry: JournalEntry): JournalNote =>
  JournalNote.parse({ ...entry, network: linksOf(entry.network) });

/** What the way back needs of a network. Neighbours may be many. */
const linksOf = (network: ContainerNetwork): ContainerNetwork =>
  network.kind === 'bridge'
    ? { kind: 'bridge', netns: network.netns, links: network.links, routes: [], neighbours: [] }
    : network;

/** A host whose runtime does not answer, or is not there, is announced all the same: its facts say so. */
async function listOf(runtime: Runtime, signal: AbortSignal, logger: Logger): Promise<ContainerSummary[]> {
  try {
    return await runtime.list(signal);
  } catch (error) {
    logger.debug({ err: error, runtime: runtime.name }, 'the containers cannot be listed');
    return [];
  }
}
