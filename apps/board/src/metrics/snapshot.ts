/** Everything that `/metrics` tells, read from Redis at the moment it is asked for: any board tells the same. */
import {
  coordinatorAlive,
  depthOf,
  drainedHosts,
  hosts,
  openHostView,
  openMigrationsView,
  readTally,
  type BoardQueue,
  type RedisConnection,
  type TallyCount,
} from '@cmt/queue';
import { hostCard } from '../view/cards.ts';
import type { HostCard } from '../view/fleet-view.ts';

export interface Depth {
  readonly queue: string;
  readonly states: Readonly<Record<string, number>>;
}

export interface Snapshot {
  readonly coordinator: boolean;
  readonly hosts: readonly HostCard[];
  readonly depths: readonly Depth[];
  readonly tally: readonly TallyCount[];
}

/** Queues that are counted at the same time. */
const AT_ONCE = 32;

export class Snapshots {
  readonly #redis: RedisConnection;
  readonly #queues = new Map<string, BoardQueue>();

  constructor(redis: RedisConnection) {
    this.#redis = redis;
    this.#queues.set('', openMigrationsView(redis));
  }

  /** @throws {CmtError} REDIS_UNREACHABLE */
  async take(): Promise<Snapshot> {
    const [seen, drained, coordinator, tally] = await Promise.all([
      hosts(this.#redis),
      drainedHosts(this.#redis),
      coordinatorAlive(this.#redis),
      readTally(this.#redis),
    ]);
    const now = Date.now();
    for (const { name } of seen)
      if (!this.#queues.has(name)) this.#queues.set(name, openHostView(this.#redis, name));
    const depths = await this.#depths(['', ...seen.map(({ name }) => name)]);
    const cards = seen.map((host) => hostCard(host, host.name in drained, now));
    return { coordinator, hosts: cards, depths, tally };
  }

  async #depths(names: readonly string[]): Promise<Depth[]> {
    const depths: Depth[] = [];
    for (let at = 0; at < names.length; at += AT_ONCE)
      depths.push(
        ...(await Promise.all(
          names.slice(at, at + AT_ONCE).flatMap((name) => {
            const queue = this.#queues.get(name);
            return queue === undefined
              ? []
              : [depthOf(queue).then((states) => ({ queue: queue.name, states }))];
          }),
        )),
      );
    return depths;
  }
}
