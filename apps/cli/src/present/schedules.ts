/** Schedules for people. */
import type { Schedule, ScheduleRun } from '@cmt/contracts';
import { oneLine, type Paint } from './paint.ts';
import { table } from './table.ts';
import { time } from './units.ts';

/** A schedule as it stands: see KnownSchedule of libs/queue. */
export interface ShownSchedule {
  readonly schedule: Schedule;
  readonly nextAt: number;
  readonly overdue: number;
  readonly runs: readonly ScheduleRun[];
}

export const schedulesText = (schedules: readonly ShownSchedule[], now: number, paint: Paint): string =>
  table(
    schedules,
    [
      { title: 'SCHEDULE', cell: ({ schedule }) => schedule.name },
      { title: 'PATTERN', cell: ({ schedule }) => schedule.pattern },
      { title: 'NEXT', cell: (shown) => nextText(shown, now) },
      { title: 'LAST', cell: ({ runs, schedule }) => lastText(runs[0], schedule) },
      {
        title: 'MISSED',
        cell: (shown) => String(missedOf(shown)),
        paint: (text, shown) => (missedOf(shown) > 0 ? paint.red(text) : text),
      },
      { title: 'DOES', cell: ({ schedule }) => schedule.words.join(' ') },
    ],
    paint,
  );

/** `at 2026-01-04 03:00 UTC, in 7 h`. */
export const addedText = ({ schedule, nextAt }: ShownSchedule, isNew: boolean): string =>
  `schedule ${schedule.name} ${isNew ? 'is due' : 'is there already, due'} at ${clock(nextAt, schedule)}: ${oneLine(schedule.words.join(' '))}\n`;

/** Times that nobody carried out: those that were noted, and those that have passed since. */
const missedOf = ({ runs, overdue }: ShownSchedule): number =>
  overdue + runs.reduce((sum, { missed }) => sum + missed, 0);

function nextText({ schedule, nextAt, overdue }: ShownSchedule, now: number): string {
  if (overdue > 0) return `overdue since ${clock(nextAt, schedule)}: no coordinator`;
  return `${clock(nextAt, schedule)} (in ${time(Math.max(0, nextAt - now))})`;
}

function lastText(run: ScheduleRun | undefined, schedule: Schedule): string {
  if (run === undefined) return '-';
  const what = run.failure?.code ?? run.id ?? '';
  return `${run.outcome} ${clock(run.dueAt, schedule)}${what === '' ? '' : ` ${what}`}`;
}

/** In the schedule's own zone, as its pattern is meant. */
function clock(at: number, { timeZone }: Schedule): string {
  const local = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' });
  return `${local.format(at)} ${timeZone}`;
}
