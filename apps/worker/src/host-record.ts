/**
 * What this host announces: its facts, its containers, how to reach it.
 *
 * INVARIANT: nothing is asked of the machine while a leg is under way: the blackout shares its cores with nobody.
 */
import type { ContainerSummary, HandOver, HostFacts, HostRecord } from '@cmt/contracts';
import { gatherFacts, type Runtime } from '@cmt/host';
import type { Logger } from 'pino';
import type { Host } from './host.ts';

/** `criu check` and the versions of tools change rarely; containers come and go. Milliseconds. */
const FACTS_AGE_MS = 60_000;
const CONTAINERS_AGE_MS = 5_000;

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
export interface Activity {
  isBusy(): boolean;
  handOvers(): Promise<HandOver[]>;
}

/** The record as it is now. */
export function hostRecords(host: Host, activity: Activity, logger: Logger): HostRecords {
  const startedAt = Date.now();
  const { config, endpoint, runtimes } = host;
  const facts = new Aged<HostFacts>(FACTS_AGE_MS, (signal) => gatherFacts(config, runtimes, signal));
  const containers = new Aged<ContainerSummary[]>(CONTAINERS_AGE_MS, async (signal) =>
    (await Promise.all(runtimes.all().map((runtime) => listOf(runtime, signal, logger)))).flat(),
  );
  return {
    current: async () => ({
      v: 1,
      facts: await facts.get(activity.isBusy()),
      endpoint,
      containers: await containers.get(activity.isBusy()),
      handOvers: await activity.handOvers(),
      labels: config.labels,
      cmtVersion: CMT_VERSION,
      startedAt,
      seenAt: Date.now(),
    }),
    containersChanged: () => containers.outdate(),
  };
}

/** A host whose runtime does not answer, or is not there, is announced all the same: its facts say so. */
async function listOf(runtime: Runtime, signal: AbortSignal, logger: Logger): Promise<ContainerSummary[]> {
  try {
    return await runtime.list(signal);
  } catch (error) {
    logger.debug({ err: error, runtime: runtime.name }, 'the containers cannot be listed');
    return [];
  }
}
