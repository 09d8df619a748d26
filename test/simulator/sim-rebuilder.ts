/** A coordinator's look for migrations that the hosts' journals tell of and Redis does not know (see libs/queue/src/rebuild.ts). */
import { endedUnbegun, type JournalNote } from '@cmt/contracts';
import { report } from '@cmt/saga';
import {
  isOpen,
  journalsOf,
  ordersOf,
  requestOfOrder,
  type RecoveryOrder,
} from '../../libs/queue/src/recovery.ts';
import { stateAt, type SeenHost } from '../../libs/queue/src/registry.ts';
import { isTidyEnd, type Standing } from '../../libs/queue/src/standing.ts';
import type { SimProcess } from './sim-process.ts';
import { migrationKey, type MigrationJob } from './sim-queue.ts';
import type { SimRedis } from './sim-redis.ts';

const LOOK_MS = 2_000;
const GRACE_MS = 3_000;
const SILENT_MS = 30_000;
const TIDY_MS = 10_000;

/** What a host's worker has announced last. */
export interface Announcement {
  readonly at: number;
  readonly notes: readonly JournalNote[];
}
export const hostKey = (host: string): string => `host:${host}`;

function standingOf({ state }: MigrationJob): Standing | null {
  if (state === null) return null;
  const stands = report(state, 0);
  return { state: stands.state, isUnbegun: endedUnbegun(stands) };
}

export class SimRebuilder {
  readonly #redis: SimRedis;
  readonly #who: SimProcess;
  readonly #missed = new Map<string, number>();
  readonly #untidy = new Map<string, { since: number; waitMs: number }>();

  constructor(redis: SimRedis, who: SimProcess) {
    this.#redis = redis;
    this.#who = who;
  }

  start(): void {
    this.#who.after(LOOK_MS, () => {
      void this.#look().catch(() => undefined);
      this.start();
    });
  }

  /** What both hosts' journals say of a migration. */
  announced = async (about: { id: string; source: string; target: string }) =>
    journalsOf(await this.#hosts(), about);

  #hosts = (): Promise<SeenHost[]> =>
    this.#redis.call(this.#who, 'hosts', () =>
      this.#redis.keysFrom('host:').map((key) => {
        const { at, notes } = this.#redis.get<Announcement>(key) ?? { at: 0, notes: [] };
        const name = key.slice('host:'.length);
        const ageMs = this.#who.world.time.now - at;
        const record = { facts: { name }, journal: notes } as unknown as SeenHost['record'];
        return { name, state: stateAt(ageMs), ageMs, record };
      }),
    );

  async #look(): Promise<void> {
    const seen = await this.#hosts();
    const now = this.#who.clock.now();
    const forgotten = await this.#forgotten(ordersOf(seen, Math.floor(now)), seen);
    const missing = new Set(forgotten.map(({ recover }) => recover));
    for (const id of this.#missed.keys()) if (!missing.has(id)) this.#missed.delete(id);
    for (const order of forgotten) {
      const since = this.#missed.get(order.recover) ?? now;
      this.#missed.set(order.recover, since);
      const online = (host: string) => seen.some(({ name, state }) => name === host && state === 'online');
      if (now - since > (online(order.source) && online(order.target) ? GRACE_MS : SILENT_MS))
        await this.#takeUp(order);
    }
    await this.#tidyUp(seen, now);
  }

  /** Ended ones of which a host that is there still holds something are taken up once more. */
  #tidyUp(seen: readonly SeenHost[], now: number): Promise<void> {
    const online = seen.filter(({ state }) => state === 'online');
    const open = ordersOf(seen, Math.floor(now)).filter((order) => isOpen(order, online));
    return this.#redis.call(this.#who, 'tidy', () => {
      for (const { recover: id } of open) {
        const known = this.#redis.get<MigrationJob>(migrationKey(id));
        if (known?.isDone !== true || !isTidyEnd(standingOf(known))) continue;
        const { since, waitMs } = this.#untidy.get(id) ?? { since: now, waitMs: TIDY_MS };
        const isDue = now - since >= waitMs;
        this.#untidy.set(id, isDue ? { since: now, waitMs: 2 * waitMs } : { since, waitMs });
        if (isDue)
          this.#redis.set(migrationKey(id), { ...known, origin: 'journals', isDone: false, lock: null });
      }
    });
  }

  #forgotten(orders: readonly RecoveryOrder[], seen: readonly SeenHost[]): Promise<RecoveryOrder[]> {
    return this.#redis.call(this.#who, 'known', () =>
      orders.filter((order) => {
        const known = this.#redis.get<MigrationJob>(migrationKey(order.recover));
        return known === null || (standingOf(known)?.isUnbegun === true && isOpen(order, seen));
      }),
    );
  }

  #takeUp(order: RecoveryOrder): Promise<void> {
    return this.#redis.call(this.#who, 'take up', () => {
      const key = migrationKey(order.recover);
      const known = this.#redis.get<MigrationJob>(key);
      if (known !== null && standingOf(known)?.isUnbegun !== true) return;
      const request = requestOfOrder(order);
      const lease = known?.lease ?? 0;
      const job: MigrationJob = {
        request,
        origin: 'journals',
        state: null,
        lease,
        lock: null,
        isDone: false,
        word: null,
      };
      this.#redis.set(key, job);
    });
  }
}
