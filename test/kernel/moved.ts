/** A container of a lab in the virtual machine, and what `cmt migrate` makes of it. */
import assert from 'node:assert/strict';
import type { MigrationReport, PreCopy } from '@cmt/contracts';
import { leftAfterMoves, leftOnHosts, lookAtHosts, type Before } from '../support/left-behind.ts';
import type { Mend } from '../support/broken-tools.ts';
import {
  atStartOf,
  migrate,
  migrateAnd,
  newId,
  startFleet,
  type Fleet,
  type Move,
} from '../support/fleet.ts';
import { isUnbroken, readTicks, strayTicks } from '../support/ticks.ts';
import { startWorkload } from '../support/workloads.ts';
import { expectPages, PAGE, PAGES, type Forecast } from './pre-copied.ts';

export const ID = 'moved';
/** Between ticks. All that it ever wrote is read after each move, and there are many. */
const TICK_MS = 50;

export class Moved {
  /** Of moves that froze it. */
  readonly forecasts: Forecast[] = [];
  #on = 'host1';

  private constructor(
    readonly fleet: Fleet,
    readonly before: Before,
  ) {}

  /** Redis, a coordinator, two hosts with a worker each, and the container on the first. */
  static async start(pagesPerSecond: number): Promise<Moved> {
    const fleet = await startFleet('kernel');
    const args = [PAGES, pagesPerSecond, TICK_MS].map(String);
    await startWorkload(fleet.lab, 'host1', { id: ID, program: 'memory', net: { kind: 'none' }, args });
    return new Moved(fleet, await lookAtHosts(fleet.lab));
  }

  next(flags: readonly string[]): Move {
    return {
      id: newId(),
      container: ID,
      from: this.#on,
      to: this.#on === 'host1' ? 'host2' : 'host1',
      flags,
    };
  }

  /** Moves it to the other host, where it is the same to the last page. */
  async move(flags: readonly string[]): Promise<MigrationReport> {
    const move = this.next(flags);
    const { migration, code } = await migrate(this.fleet, move);
    assert.deepEqual([migration.state, migration.message, code], ['done', null, 0]);
    this.#on = move.to;
    await this.expectRight();
    this.forecasts.push(forecastOf(migration));
    return migration;
  }

  /**
   * Asks for a move, and does something when a row of the plan begins. Whatever becomes of it: the container is the same to the last page, on
   * one host, and the hosts hold what they held before.
   */
  async moveAnd(
    flags: readonly string[],
    row: string,
    act: (move: Move) => Promise<Mend | undefined>,
  ): Promise<MigrationReport> {
    const move = this.next(flags);
    const before = await lookAtHosts(this.fleet.lab);
    let mend: Mend | undefined;
    const report = await migrateAnd(this.fleet, move, atStartOf(row), async () => {
      mend = await act(move);
    });
    await mend?.();
    if (report.state === 'done') this.#on = move.to;
    await this.expectRight();
    if (report.state === 'done') await this.expectOnlyMoved();
    else assert.deepEqual(await leftOnHosts(this.fleet.lab, before), []);
    return report;
  }

  /** It runs where it is expected, and never ran elsewhere meanwhile; every page holds what was written to it last, and it is written on. */
  async expectRight(): Promise<void> {
    const { lab } = this.fleet;
    await expectPages(lab, this.#on, ID);
    const other = lab.hosts.find(({ name }) => name !== this.#on)?.name ?? '';
    const [elsewhere, here] = [await readTicks(lab, other, ID), await readTicks(lab, this.#on, ID)];
    assert.ok(here.length > elsewhere.length);
    assert.deepEqual(strayTicks(elsewhere, here), []);
    assert.ok(isUnbroken(here));
  }

  /** Both hosts together hold what they held before the first move. */
  async expectOnlyMoved(): Promise<void> {
    assert.deepEqual(await leftAfterMoves(this.fleet.lab, this.before), []);
  }
}

function forecastOf(report: MigrationReport): Forecast {
  const { blackoutMs, blackout } = report;
  const { predicted, rounds, final } = preCopyOf(report);
  assert.ok(predicted !== null && blackoutMs !== null && blackout !== null, 'no prediction, or no blackout');
  return {
    rounds: rounds.length,
    remaining: { predicted: predicted.remaining, measured: (final?.pagesWritten ?? 0) * PAGE },
    predicted: predicted.totalMs,
    measured: blackoutMs,
    parts: { predicted, measured: blackout },
  };
}

export function preCopyOf({ preCopy }: MigrationReport): PreCopy {
  assert.ok(preCopy !== undefined, 'the report says nothing of pre-copy');
  return preCopy;
}
