/** Looks at hosts and migrations, and tells what has changed. Reports are read again only where their mark has changed. */
import type { MigrationId } from '@cmt/contracts';
import {
  coordinatorAlive,
  depthOf,
  drainedHosts,
  hosts,
  marksOf,
  openMigrationsView,
  recentMigrations,
  reportsOf,
  type BoardQueue,
  type Mark,
  type RedisConnection,
} from '@cmt/queue';
import { hostCard, migrationCard } from '../view/cards.ts';
import type { FleetFacts, FleetView, HostCard, MigrationCard } from '../view/fleet-view.ts';
import { message, type Looks, type Message } from './look-out.ts';

/** Migrations that the page shows: what coordinators work on, and the newest. */
const SHOWN = { active: 200, newest: 100 };

export class FleetLooks implements Looks {
  readonly #redis: RedisConnection;
  readonly #queue: BoardQueue;
  readonly #marks = new Map<MigrationId, Mark>();
  #facts: FleetFacts = { at: 0, coordinator: false, underWay: 0, waiting: 0 };
  #hosts: ReadonlyMap<string, HostCard> = new Map();
  #migrations: ReadonlyMap<string, MigrationCard> = new Map();

  constructor(redis: RedisConnection) {
    this.#redis = redis;
    this.#queue = openMigrationsView(redis);
  }

  async look(): Promise<Message[]> {
    const now = Date.now();
    const before = { facts: this.#facts, hosts: this.#hosts, migrations: this.#migrations };
    const [seen, drained, coordinator, depth] = await Promise.all([
      hosts(this.#redis),
      drainedHosts(this.#redis),
      coordinatorAlive(this.#redis),
      depthOf(this.#queue),
    ]);
    this.#hosts = new Map(seen.map((host) => [host.name, hostCard(host, host.name in drained, now)]));
    this.#migrations = await this.#lookAtMigrations();
    const waiting = (depth.wait ?? 0) + (depth.delayed ?? 0) + (depth.prioritized ?? 0);
    this.#facts = { at: now, coordinator, underWay: depth.active ?? 0, waiting };
    return this.#changesSince(before);
  }

  whole(): Message[] {
    const view: FleetView = {
      facts: this.#facts,
      hosts: [...this.#hosts.values()],
      migrations: [...this.#migrations.values()],
    };
    return [message('fleet', view)];
  }

  async #lookAtMigrations(): Promise<ReadonlyMap<string, MigrationCard>> {
    const { all } = await recentMigrations(this.#redis, SHOWN);
    const marks = await marksOf(this.#redis, all);
    const stale = all.filter((id, at) => marks[at] !== null && this.#marks.get(id) !== marks[at]);
    const reports = stale.length === 0 ? [] : await reportsOf(this.#redis, stale);
    const fresh = new Map(
      reports.flatMap((report) => (report === null ? [] : [[report.id, migrationCard(report)] as const])),
    );
    this.#marks.clear();
    all.forEach((id, at) => {
      const mark = marks[at];
      if (mark != null) this.#marks.set(id, mark);
    });
    return new Map(
      all.flatMap((id) => {
        const card = fresh.get(id) ?? this.#migrations.get(id);
        return card === undefined || !this.#marks.has(id) ? [] : [[id, card] as const];
      }),
    );
  }

  #changesSince(before: {
    readonly facts: FleetFacts;
    readonly hosts: ReadonlyMap<string, HostCard>;
    readonly migrations: ReadonlyMap<string, MigrationCard>;
  }): Message[] {
    const change = {
      facts: this.#facts,
      hosts: differing(before.hosts, this.#hosts),
      migrations: differing(before.migrations, this.#migrations),
      goneHosts: [...before.hosts.keys()].filter((name) => !this.#hosts.has(name)),
      goneMigrations: [...before.migrations.keys()].filter((id) => !this.#migrations.has(id)),
    };
    const { facts, ...lists } = change;
    const nothing = Object.values(lists).every((list) => list.length === 0);
    const same = JSON.stringify({ ...facts, at: 0 }) === JSON.stringify({ ...before.facts, at: 0 });
    return nothing && same ? [] : [message('change', change)];
  }
}

const differing = <T>(before: ReadonlyMap<string, T>, now: ReadonlyMap<string, T>): T[] =>
  [...now].flatMap(([key, value]) =>
    JSON.stringify(before.get(key)) === JSON.stringify(value) ? [] : [value],
  );
