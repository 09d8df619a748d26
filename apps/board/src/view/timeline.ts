/** The rows of the plan with the runs of each, and when nothing of the container ran. Pure. */
import { isEnd, type MigrationReport } from '@cmt/contracts';
import { plan, undoPlan, type Row as PlanRow } from '@cmt/saga';
import type { Bar, Row, RowState, Timeline } from './migration-view.ts';
import type { Run } from './runs.ts';

/** The timeline of a migration from its report and its runs; without runs, from the durations alone. */
export function timelineOf(report: MigrationReport, told: readonly Run[]): Timeline {
  const ended = isEnd(report.state);
  const placed = told.length > 0 || report.steps.length === 0;
  const runs = placed ? closedRuns(told, ended) : oneAfterTheOther(report);
  const from = Math.min(...runs.map((run) => run.from));
  const to = Math.max(...runs.map((run) => run.to ?? run.from));
  return {
    from: Number.isFinite(from) ? from : report.request.requestedAt,
    to: ended ? (Number.isFinite(to) ? to : report.request.requestedAt) : null,
    rows: rowsOf(report, runs),
    blackout: placed ? blackoutOf(report, runs) : null,
    placed,
  };
}

/** A run whose end nobody told of ended with its migration. */
function closedRuns(runs: readonly Run[], ended: boolean): readonly Run[] {
  if (!ended) return runs;
  const last = Math.max(...runs.map((run) => run.to ?? run.from));
  return runs.map((run) => (run.to === null ? { ...run, to: last, note: 'its end was not told' } : run));
}

/** The stream of events is kept for a week, the report for a month. */
function oneAfterTheOther({ steps }: MigrationReport): Run[] {
  let at = 0;
  return steps.map(({ name, host, ok, ms }) => {
    const from = at;
    at += ms;
    return { step: name, host, from, to: at, ok, note: '' };
  });
}

function rowsOf(report: MigrationReport, runs: readonly Run[]): Row[] {
  const turnedBack = runs.some(({ step }) => step === 'discard' || step === 'resume');
  const hooks = new Set<string>(report.request.options.hooks.map(({ name }) => name));
  const of = (row: PlanRow) => runs.filter(({ step }) => step === row.name);
  const wanted = (row: PlanRow) => row.kind === 'step' || hooks.has(row.name) || of(row).length > 0;
  // `clean` ends both ways; hooks of the way back are no part of the way forward.
  const forward = plan.filter((row) => wanted(row) && !(turnedBack && row.name === 'clean'));
  const back = turnedBack ? undoPlan.filter(wanted) : [];
  const counts = (run: Run) => run.ok !== false || !turnedBack;
  const furthest = forward.findLastIndex((row) => of(row).some(counts));
  return [
    ...forward.map((row, at) => rowWith(row, of(row), false, unrun(report, at < furthest, turnedBack))),
    ...back.map((row) => rowWith(row, of(row), true, unrun(report, false, false))),
  ];
}

/** How a row stands of which no run is known. */
function unrun(report: MigrationReport, isPassed: boolean, turnedBack: boolean): RowState {
  if (isPassed) return 'skipped';
  return isEnd(report.state) || turnedBack ? 'not reached' : 'to come';
}

function rowWith(row: PlanRow, runs: readonly Run[], isUndo: boolean, otherwise: RowState): Row {
  const { name, kind, side, does, blackout } = row;
  const bars: Bar[] = runs.map(({ host, from, to, ok, note }) => ({ host, from, to, ok, note }));
  return { name, kind, side, does, blackout, isUndo, bars, state: stateOf(bars) ?? otherwise };
}

function stateOf(bars: readonly Bar[]): RowState | null {
  const last = bars.at(-1);
  if (last === undefined) return null;
  if (bars.some(({ to }) => to === null)) return 'now';
  return last.ok === false ? 'failed' : 'done';
}

/**
 * The release is told by one host and the length is known by comparison of both clocks; before that, and on the way back, it
 * is what lies between the freeze being asked for and the container going on.
 */
function blackoutOf({ blackout }: MigrationReport, runs: readonly Run[]): Timeline['blackout'] {
  const lastOf = (name: string) => runs.findLast(({ step }) => step === name);
  const freeze = lastOf('freeze-and-dump');
  if (freeze === undefined) return null;
  const release = lastOf('release');
  if (blackout !== null && release?.to != null)
    return { from: release.to - blackout.totalMs, to: release.to, exact: true };
  const resume = lastOf('resume');
  const to = resume === undefined ? (release?.ok === true ? release.to : null) : resume.to;
  return { from: freeze.from, to, exact: false };
}
