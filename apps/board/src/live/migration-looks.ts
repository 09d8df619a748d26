/** Looks at one migration: its report when that has changed, and what was told since the last look. */
import type { MigrationId, MigrationReport } from '@cmt/contracts';
import { alarmsOf, eventsAfter, marksOf, reportsOf, type Mark, type RedisConnection } from '@cmt/queue';
import { lineOf, migrationView } from '../view/migration-page.ts';
import type { Line, MigrationView } from '../view/migration-view.ts';
import { withEvent, type Run } from '../view/runs.ts';
import { message, type Looks, type Message } from './look-out.ts';

/** Entries read at once, and lines kept for who comes later. A stream holds about 2000. */
const AT_ONCE = 500;
const LINES_KEPT = 500;

export class MigrationLooks implements Looks {
  readonly #redis: RedisConnection;
  readonly #id: MigrationId;
  #place = '0';
  #mark: Mark | null = null;
  #report: MigrationReport | null = null;
  #runs: readonly Run[] = [];
  #lines: readonly Line[] = [];
  #view: MigrationView | null = null;

  constructor(redis: RedisConnection, id: MigrationId) {
    this.#redis = redis;
    this.#id = id;
  }

  async look(): Promise<Message[]> {
    // The report first: what has ended by then has told its last event.
    const [mark = null] = await marksOf(this.#redis, [this.#id]);
    if (mark !== this.#mark) {
      const [report = null] = await reportsOf(this.#redis, [this.#id]);
      this.#report = report;
      this.#mark = mark;
    }
    const fresh = await this.#readEvents();
    this.#lines = [...this.#lines, ...fresh].slice(-LINES_KEPT);
    const before = this.#view;
    this.#view = await this.#viewNow();
    const same = JSON.stringify({ ...before, at: 0 }) === JSON.stringify({ ...this.#view, at: 0 });
    return [
      ...(same ? [] : [message('migration', this.#view)]),
      ...(fresh.length === 0 ? [] : [message('lines', { fresh: true, lines: fresh })]),
    ];
  }

  whole(): Message[] {
    return [message('migration', this.#view), message('lines', { fresh: false, lines: this.#lines })];
  }

  async #readEvents(): Promise<Line[]> {
    const lines: Line[] = [];
    for (;;) {
      const { told, place } = await eventsAfter(this.#redis, this.#id, this.#place, AT_ONCE);
      for (const each of told) this.#runs = withEvent(this.#runs, each);
      lines.push(...told.map(lineOf));
      if (place === this.#place) return lines;
      this.#place = place;
    }
  }

  async #viewNow(): Promise<MigrationView | null> {
    if (this.#report === null) return null;
    const [alarms, time] = await Promise.all([alarmsOf(this.#redis, this.#id), this.#redis.time()]);
    const at = Number(time[0]) * 1000 + Math.floor(Number(time[1]) / 1000);
    return migrationView({ report: this.#report, runs: this.#runs, alarms, at });
  }
}
