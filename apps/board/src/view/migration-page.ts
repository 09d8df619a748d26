/** A migration's own page, from everything that is known of it. Pure. */
import { isEnd, type MigrationReport } from '@cmt/contracts';
import type { ToldEvent } from '@cmt/queue';
import { shownLog, shownMessage, shownText } from './hidden.ts';
import type { Fact, Line, MigrationView } from './migration-view.ts';
import type { Run } from './runs.ts';
import { timelineOf } from './timeline.ts';

export interface Known {
  readonly report: MigrationReport;
  readonly runs: readonly Run[];
  readonly alarms: MigrationView['alarms'];
  /** Milliseconds since 1970. */
  readonly at: number;
}

export function migrationView({ report, runs, alarms, at }: Known): MigrationView {
  const { id, container, from, to, state, step, totalMs, blackoutMs, failure } = report;
  return {
    ...{ at, id, container, from, to, state, step, totalMs, blackoutMs, alarms },
    ended: isEnd(state),
    requestedAt: report.request.requestedAt,
    blackoutParts: partsOf(report),
    timeline: timelineOf(report, runs),
    facts: factsOf(report),
    failure:
      failure === null
        ? null
        : {
            code: failure.code,
            message: shownMessage(failure),
            remedy: report.remedy ?? '',
            log: shownLog(failure),
          },
    findings: report.findings.map(({ code, severity, host, message, remedy }) => ({
      ...{ code, severity, host, message, remedy },
    })),
    hooks: report.hooks.map(({ name, ok, ms }) => ({ name, ok, ms })),
  };
}

/** An event as a line of the log. */
export const lineOf = (told: ToldEvent): Line => ({
  place: told.place,
  at: told.heardAt,
  host: told.event.host,
  kind: told.event.kind,
  step: told.event.step ?? '',
  text: told.event.text === told.event.step ? '' : shownText(told.event),
});

function partsOf({ blackout }: MigrationReport): MigrationView['blackoutParts'] {
  if (blackout === null) return [];
  const { pauseMs, dumpMs, transferMs, filesMs, restoreMs, ownMs } = blackout;
  return [
    { name: 'pause', ms: pauseMs },
    { name: 'dump', ms: dumpMs },
    { name: 'transfer', ms: transferMs },
    { name: 'files', ms: filesMs },
    { name: 'restore', ms: restoreMs },
    { name: 'between', ms: ownMs },
  ];
}

/** What was asked for and what was decided. Of a hook's program only the name: its arguments may be secret. */
function factsOf(report: MigrationReport): Fact[] {
  const { options, runtime } = report.request;
  const hooks = options.hooks.map(({ name, argv }) => `${name}: ${(argv[0] ?? '').split('/').at(-1) ?? ''}`);
  return [
    ['runtime', runtime],
    ['mode', options.mode],
    ['aim', `at most ${options.maxDowntimeMs} ms of blackout`],
    ['connections', options.tcp],
    ['transport', options.transport],
    ...when(options.compress === 'zstd' || undefined, (): Fact => ['images', 'packed by zstd on their way']),
    ['decision', `${report.decision ?? 'none yet'} (epoch ${report.epoch})`],
    ...when(report.fenced, (side): Fact => ['fenced', `${side}, by an operator’s word`]),
    ['pre-dump rounds', `${report.rounds}${report.roundsNote === null ? '' : `: ${report.roundsNote}`}`],
    ...when(options.force || undefined, (): Fact => ['forced', 'soft findings are warnings']),
    ...when(options.sharedRootfs || undefined, (): Fact => ['files', 'shared by both hosts']),
    ...when(hooks.length > 0 ? hooks : undefined, (names): Fact => ['hooks', names.join(', ')]),
    ...when(report.rebuilt, (note): Fact => ['rebuilt', note]),
  ];
}

const when = <T>(value: T | undefined, fact: (value: T) => Fact): Fact[] =>
  value === undefined ? [] : [fact(value)];
