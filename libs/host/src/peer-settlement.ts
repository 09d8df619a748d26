/**
 * The two hosts of a hand-over settle it between themselves when Redis is away: a container stands frozen for a bounded time only.
 *
 * INVARIANTS
 * - Nothing is done before Redis was silent for `PATIENCE_MS`, in which every step under way has stopped itself.
 * - What may have been decided is never chosen here (lifecycle H5): see steps/run-on.ts and steps/withdraw.ts.
 */
import type { MigrationId } from '@cmt/contracts';
import type { StepContext } from './context.ts';
import type { Journal, JournalEntry } from './journal.ts';
import { runOn } from './steps/index.ts';
import type { Verdict } from './transports/transport.ts';

/** Milliseconds of silence; a step that cannot renew its lock has stopped itself by then (SELF_FENCE_MS). */
export const PATIENCE_MS = 12_000;
/** Milliseconds between looks, and for Redis to answer one. */
export const PEER_LOOK_MS = 2_000;
const REDIS_LIMIT_MS = 2_000;

/** What came of one entry, for the log. */
export interface PeerSettlement {
  readonly entry: JournalEntry;
  readonly verdict: Verdict | null;
  readonly error?: unknown;
}

export class PeerSettler {
  readonly #journal: Pick<Journal, 'open'>;
  readonly #contextFor: (entry: JournalEntry) => StepContext;
  /** Since when Redis has been silent about each, on the clock that is never set. */
  readonly #silentSince = new Map<MigrationId, number>();
  /** Those that this very process has let run. */
  readonly #running = new Set<MigrationId>();

  constructor(journal: Pick<Journal, 'open'>, contextFor: (entry: JournalEntry) => StepContext) {
    this.#journal = journal;
    this.#contextFor = contextFor;
  }

  /** One look at everything that stands frozen here. Call again every `PEER_LOOK_MS`, one look at a time. */
  async look(): Promise<PeerSettlement[]> {
    const entries = (await this.#journal.open()).filter((entry) => this.#standsStill(entry));
    for (const id of this.#silentSince.keys())
      if (!entries.some(({ migration }) => migration === id)) this.#silentSince.delete(id);
    const settled: PeerSettlement[] = [];
    for (const entry of entries) if (await this.#isDue(entry)) settled.push(await this.#settle(entry));
    return settled;
  }

  /** Frozen, or to be let run by a process that died before it could. */
  #standsStill({ side, phase, ranOnAlone, migration }: JournalEntry): boolean {
    if (side !== 'source') return false;
    return (
      phase === 'FROZEN' || (phase === 'RESUMED' && ranOnAlone === true && !this.#running.has(migration))
    );
  }

  async #isDue(entry: JournalEntry): Promise<boolean> {
    const { machine, decisions, signal } = this.#contextFor(entry);
    const { clock } = machine;
    const either = AbortSignal.any([signal, clock.limit(REDIS_LIMIT_MS)]);
    const asked = clock.elapsed();
    try {
      await decisions.read(entry.migration, entry.epoch, either);
      this.#silentSince.delete(entry.migration);
      return false;
    } catch {
      const since = this.#silentSince.get(entry.migration) ?? asked;
      this.#silentSince.set(entry.migration, since);
      return clock.elapsed() - since >= PATIENCE_MS;
    }
  }

  async #settle(entry: JournalEntry): Promise<PeerSettlement> {
    try {
      const verdict = await runOn(this.#contextFor(entry));
      if (verdict === 'ABORT') this.#running.add(entry.migration);
      return { entry, verdict };
    } catch (error) {
      return { entry, verdict: null, error };
    }
  }
}
