/**
 * Finds migrations that the hosts' journals tell of and Redis does not know (lifecycle H6: it was emptied, or lost what it had not
 * written), or calls ended although a host that is back still holds something of them (H7), and queues them to be taken up again.
 *
 * INVARIANTS
 * - A migration is registered by one step that looks first: of several coordinators one does it, and a known one is left alone.
 * - Both hosts have spoken before it is taken up, or one has been silent for longer than a restart takes.
 */
import type { HostName, MigrationId } from '@cmt/contracts';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { addMigration, removeEnded } from './migration-job.ts';
import { firstReport } from './publish.ts';
import { isOpen, ordersOf, requestOfOrder, type RecoveryOrder } from './recovery.ts';
import { hostsWithNotes, type NotedHost } from './registry.ts';
import { isTidyEnd } from './standing.ts';
import { registerForgotten, standingOf } from './store.ts';

/** Milliseconds between looks; that steps still under way get to write down how they ended; and that a silent host gets to come back. */
const LOOK_MS = 2_000;
const GRACE_MS = 3_000;
const SILENT_MS = 30_000;
/** Milliseconds that an ended migration's hosts get to announce that they hold nothing of it; doubled with each time in vain. */
const TIDY_MS = 10_000;
const LONGEST_TIDY_MS = 3_600_000;

export class Rebuilder {
  readonly #redis: Redis;
  readonly #queue: Queue;
  readonly #logger: Logger;
  readonly #timer: NodeJS.Timeout;
  /** When each was missed first, on the clock of `performance.now`. */
  readonly #missed = new Map<MigrationId, number>();
  /** Ended ones of which something is left: since when, and how long to wait before they are taken up. */
  readonly #untidy = new Map<MigrationId, { readonly since: number; readonly waitMs: number }>();
  /** Hosts whose announcement could not be read: said once of each. */
  readonly #unreadable = new Set<HostName>();
  #busy = false;

  constructor(redis: Redis, queue: Queue, logger: Logger) {
    this.#redis = redis;
    this.#queue = queue;
    this.#logger = logger;
    this.#timer = setInterval(() => void this.#look(), LOOK_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      const seen = await hostsWithNotes(this.#redis, (host, why) => this.#warnOf(host, why));
      const forgotten = await this.#forgotten(seen);
      this.#note(forgotten);
      for (const order of forgotten) if (this.#isDue(order, seen)) await this.#takeUp(order);
      await this.#tidyUp(seen);
    } catch (error) {
      this.#logger.debug({ err: error }, 'the hosts’ journals could not be compared with Redis');
    } finally {
      this.#busy = false;
    }
  }

  #warnOf(host: HostName, why: string): void {
    if (this.#unreadable.has(host)) return;
    this.#unreadable.add(host);
    this.#logger.warn({ host, why }, 'what a host announces cannot be read; its journal is left out');
  }

  /**
   * Not known; or known as one that ended before anything was begun, against a journal that says otherwise: somebody asked for
   * it anew in a Redis that had just been emptied.
   */
  async #forgotten(seen: readonly NotedHost[]): Promise<RecoveryOrder[]> {
    const orders = ordersOf(seen, Date.now());
    const known = await Promise.all(orders.map(({ recover }) => standingOf(this.#redis, recover)));
    return orders.filter((order, index) => {
      const standing = known[index] ?? null;
      return standing === null || (standing.isUnbegun && isOpen(order, seen));
    });
  }

  #note(forgotten: readonly RecoveryOrder[]): void {
    const now = performance.now();
    const missing = new Set(forgotten.map(({ recover }) => recover));
    for (const id of this.#missed.keys()) if (!missing.has(id)) this.#missed.delete(id);
    for (const id of missing) if (!this.#missed.has(id)) this.#missed.set(id, now);
  }

  #isDue({ recover, source, target }: RecoveryOrder, seen: readonly NotedHost[]): boolean {
    const waited = performance.now() - (this.#missed.get(recover) ?? Infinity);
    const online = (host: string) => seen.some(({ name, state }) => name === host && state === 'online');
    return waited > (online(source) && online(target) ? GRACE_MS : SILENT_MS);
  }

  /** Taken up again as it stands; only hosts that are there are asked. */
  async #tidyUp(seen: readonly NotedHost[]): Promise<void> {
    const online = seen.filter(({ state }) => state === 'online');
    const open = ordersOf(seen, Date.now()).filter((order) => isOpen(order, online));
    const ids = new Set(open.map(({ recover }) => recover));
    for (const id of this.#untidy.keys()) if (!ids.has(id)) this.#untidy.delete(id);
    for (const order of open) {
      const standing = await standingOf(this.#redis, order.recover);
      if (!isTidyEnd(standing)) this.#untidy.delete(order.recover);
      else if (this.#isUntidyFor(order.recover)) await this.#requeue(order);
    }
  }

  #isUntidyFor(id: MigrationId): boolean {
    const now = performance.now();
    const { since, waitMs } = this.#untidy.get(id) ?? { since: now, waitMs: TIDY_MS };
    const isDue = now - since >= waitMs;
    const next = isDue ? { since: now, waitMs: Math.min(2 * waitMs, LONGEST_TIDY_MS) } : { since, waitMs };
    this.#untidy.set(id, next);
    return isDue;
  }

  async #requeue(order: RecoveryOrder): Promise<void> {
    this.#logger.warn({ migration: order.recover }, 'it has ended, and a host still holds something of it');
    await removeEnded(this.#queue, order.recover);
    await addMigration(this.#queue, order.recover, order);
  }

  async #takeUp(order: RecoveryOrder): Promise<void> {
    const id = order.recover;
    if (!(await registerForgotten(this.#redis, firstReport(requestOfOrder(order)), order))) return;
    this.#logger.warn(
      { migration: id },
      'Redis had forgotten it; taking it up from the journals of its hosts',
    );
    await removeEnded(this.#queue, id);
    await addMigration(this.#queue, id, order);
  }
}
