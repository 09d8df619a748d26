/**
 * Finds migrations that the hosts' journals tell of and Redis does not know, and queues them to be taken up again (lifecycle H6):
 * Redis was emptied, or lost what it had not written.
 *
 * INVARIANTS
 * - A migration is registered by one step that looks first: of several coordinators one does it, and a known one is left alone.
 * - Both hosts have spoken before it is taken up, or one has been silent for longer than a restart takes.
 */
import { keys, type MigrationId } from '@cmt/contracts';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { addMigration, removeEnded } from './migration-job.ts';
import { firstReport } from './publish.ts';
import { isOpen, ordersOf, requestOfOrder, type RecoveryOrder } from './recovery.ts';
import { hosts, type SeenHost } from './registry.ts';
import { registerForgotten } from './store.ts';

/** Milliseconds between looks; that steps still under way get to write down how they ended; and that a silent host gets to come back. */
const LOOK_MS = 2_000;
const GRACE_MS = 3_000;
const SILENT_MS = 30_000;

export class Rebuilder {
  readonly #redis: Redis;
  readonly #queue: Queue;
  readonly #logger: Logger;
  readonly #timer: NodeJS.Timeout;
  /** When each was missed first, on the clock of `performance.now`. */
  readonly #missed = new Map<MigrationId, number>();
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
      const seen = await hosts(this.#redis);
      const forgotten = await this.#forgotten(seen);
      this.#note(forgotten);
      for (const order of forgotten) if (this.#isDue(order, seen)) await this.#takeUp(order);
    } catch (error) {
      this.#logger.debug({ err: error }, 'the hosts’ journals could not be compared with Redis');
    } finally {
      this.#busy = false;
    }
  }

  /**
   * Not known; or known as refused, which says that nothing was begun, against a journal that says otherwise: somebody asked for
   * it anew in a Redis that had just been emptied.
   */
  async #forgotten(seen: readonly SeenHost[]): Promise<RecoveryOrder[]> {
    const orders = ordersOf(seen, Date.now());
    const known = await Promise.all(
      orders.map(({ recover }) => this.#redis.hget(keys.saga(recover), 'status')),
    );
    return orders.filter(
      (order, index) => known[index] === null || (known[index] === 'refused' && isOpen(order, seen)),
    );
  }

  #note(forgotten: readonly RecoveryOrder[]): void {
    const now = performance.now();
    const missing = new Set(forgotten.map(({ recover }) => recover));
    for (const id of this.#missed.keys()) if (!missing.has(id)) this.#missed.delete(id);
    for (const id of missing) if (!this.#missed.has(id)) this.#missed.set(id, now);
  }

  #isDue({ recover, source, target }: RecoveryOrder, seen: readonly SeenHost[]): boolean {
    const waited = performance.now() - (this.#missed.get(recover) ?? Infinity);
    const online = (host: string) => seen.some(({ name, state }) => name === host && state === 'online');
    return waited > (online(source) && online(target) ? GRACE_MS : SILENT_MS);
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
