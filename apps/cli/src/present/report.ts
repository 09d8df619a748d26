/** One migration as it stands, in full. */
import {
  type Blackout,
  isEnd,
  messageOf,
  type MigrationReport,
  type MigrationState,
  type Prediction,
} from '@cmt/contracts';
import { roundsText } from './rounds.ts';
import { failureText } from './failure.ts';
import { findingsText } from './findings.ts';
import { oneLine, type Paint } from './paint.ts';
import { table } from './table.ts';
import { share, size, time } from './units.ts';

export function reportText(report: MigrationReport, paint: Paint): string {
  const sections = [
    headText(report, paint),
    report.preCopy && report.preCopy.rounds.length > 0 ? roundsText(report.preCopy, paint) : '',
    report.steps.length > 0 ? stepsText(report, paint) : '',
    report.hooks.length > 0 ? hooksText(report, paint) : '',
    report.findings.length > 0 ? findingsText(report.findings, paint) : '',
    report.failure ? failureText(report.failure, paint) : '',
  ];
  return sections.filter((section) => section !== '').join('\n');
}

/** What must not be and is, as hosts tell it now. */
export const alarmsText = (
  alarms: readonly { readonly host: string; readonly text: string }[],
  paint: Paint,
): string => alarms.map(({ host, text }) => `${paint.red(`ALARM ${host}:`)} ${oneLine(text)}\n`).join('');

/** One sentence on how it ended: the last line of `cmt migrate`. */
export function outcomeText(report: MigrationReport, paint: Paint): string {
  const { container, from, to, blackoutMs, totalMs } = report;
  const stood = blackoutMs === null ? '' : `, it stood still for ${time(blackoutMs)}`;
  switch (report.state) {
    case 'done':
      return `${paint.green('done')}: ${container} runs on ${to}${stood} (${time(totalMs)} in all)\n`;
    case 'validated':
      return `${paint.green('validated')}: ${container} can move from ${from} to ${to}\n`;
    case 'refused':
      return `${paint.red('refused')}: nothing was changed${wasSeen(report) ? `; ${container} is as it was on ${from}` : ''}\n`;
    case 'rolled-back':
      return `${paint.red('rolled back')}: ${container} runs on ${from}${stood}\n`;
    case 'cancelled':
      return `${paint.yellow('cancelled')}: ${container} runs on ${from}${stood}\n`;
    case 'needs-operator':
      return `${paint.red('needs you')}: cmt cannot decide alone what becomes of ${container}\n`;
    case 'queued':
    case 'running':
    case 'rolling-back':
    case 'committed':
      return `${statePainted(report.state, paint)}: ${container}, ${from} to ${to}\n`;
  }
}

/** Before it was looked at nobody knows whether there is such a container. */
const wasSeen = ({ steps }: MigrationReport): boolean =>
  steps.some(({ name, ok }) => name === 'inspect' && ok);

export function statePainted(state: MigrationState, paint: Paint, text: string = state): string {
  if (state === 'done' || state === 'validated') return paint.green(text);
  if (state === 'cancelled') return paint.yellow(text);
  return isEnd(state) ? paint.red(text) : paint.cyan(text);
}

function headText(report: MigrationReport, paint: Paint): string {
  const {
    id,
    container,
    from,
    to,
    state,
    step,
    decision,
    fenced,
    epoch,
    rounds,
    roundsNote,
    blackout,
    preCopy,
  } = report;
  const at = step && !isEnd(state) ? `, at ${step}` : '';
  const facts: [string, string][] = [
    ['container', `${container}, ${from} -> ${to}`],
    ['state', `${statePainted(state, paint)}${at}`],
    ...(report.waitsFor === undefined ? [] : [['waits', oneLine(report.waitsFor)] as [string, string]]),
    ...placementLines(report),
    ['decision', `${decision ?? 'none yet'} (epoch ${epoch})`],
    ...(fenced
      ? [['fenced', `${fenced === 'source' ? from : to}, by an operator’s word`] as [string, string]]
      : []),
    ['rounds', `${rounds}${roundsNote ? `: ${oneLine(roundsNote)}` : ''}`],
    ['blackout', blackout ? blackoutText(blackout) : blackoutTotal(report.blackoutMs)],
    ...(preCopy?.predicted
      ? [['predicted', predictionText(preCopy.predicted, blackout)] as [string, string]]
      : []),
    ...packedLine(report),
    ['total', time(report.totalMs)],
    ...(report.rebuilt === undefined ? [] : [['rebuilt', oneLine(report.rebuilt)] as [string, string]]),
  ];
  const lines = facts.map(([name, value]) => `  ${name.padEnd(10)}${value}\n`);
  return `${paint.bold(id)}\n${lines.join('')}`;
}

/** Why this target, and why not those before it. */
const placementLines = ({ placement }: MigrationReport): [string, string][] => [
  ...(placement?.passedOver ?? []).map(
    ({ host, failure }) => ['not', `${host}: ${oneLine(messageOf(failure))}`] as [string, string],
  ),
  ...(placement && placement.why !== '' ? [['target', oneLine(placement.why)] as [string, string]] : []),
];

/** Told where images were packed on their way. */
const packedLine = ({ bytesSent = 0, imageBytes = 0 }: MigrationReport): [string, string][] =>
  imageBytes > bytesSent
    ? [['sent', `${size(bytesSent)} for ${size(imageBytes)} of images (${share(bytesSent, imageBytes)})`]]
    : [];

const blackoutTotal = (ms: number | null): string => (ms === null ? 'none' : time(ms));

/** Where the blackout went. Dump and restore hold CRIU's share; what is neither CRIU's nor the wire's is cmt's own. */
export function blackoutText(blackout: Blackout): string {
  const { totalMs, criuMs, ownMs } = blackout;
  const parts = (
    [
      ['pause', blackout.pauseMs],
      ['dump', blackout.dumpMs],
      ['transfer', blackout.transferMs],
      ['files', blackout.filesMs],
      ['restore', blackout.restoreMs],
    ] as const
  ).map(([name, ms]) => `${name} ${time(ms)} (${share(ms, totalMs)})`);
  const whose = `CRIU ${time(criuMs)} (${share(criuMs, totalMs)}), cmt’s own ${time(ownMs)} (${share(ownMs, totalMs)})`;
  return `${time(totalMs)}: ${parts.join(', ')}\n${' '.repeat(12)}of it ${whose}`;
}

/** What was expected of the blackout, by the same parts, and how far off it was. */
export function predictionText(predicted: Prediction, blackout: Blackout | null): string {
  const { totalMs, dumpMs, filesMs, restoreMs } = predicted;
  const parts = `dump and transfer ${time(dumpMs)}, files ${time(filesMs)}, restore ${time(restoreMs)}`;
  const off =
    blackout && blackout.totalMs > 0
      ? Math.round((100 * (totalMs - blackout.totalMs)) / blackout.totalMs)
      : null;
  const error =
    off === null
      ? ''
      : off === 0
        ? ', as it was'
        : `, ${Math.abs(off)} % ${off > 0 ? 'more' : 'less'} than it was`;
  return `${time(totalMs)}${error}: ${parts}`;
}

const stepsText = ({ steps }: MigrationReport, paint: Paint): string =>
  table(
    steps,
    [
      { title: 'STEP', cell: ({ name }) => name },
      { title: 'HOST', cell: ({ host }) => host },
      { title: 'TRY', cell: (step) => String(step.try) },
      { title: 'TIME', cell: ({ ms }) => time(ms) },
      {
        title: 'RESULT',
        cell: ({ ok }) => (ok ? 'ok' : 'failed'),
        paint: (text, { ok }) => (ok ? text : paint.red(text)),
      },
    ],
    paint,
  );

const hooksText = ({ hooks }: MigrationReport, paint: Paint): string =>
  table(
    hooks,
    [
      { title: 'HOOK', cell: ({ name }) => name },
      { title: 'EXIT', cell: ({ code }) => (code === null ? 'killed' : String(code)) },
      { title: 'TIME', cell: ({ ms }) => time(ms) },
      { title: 'OUTPUT', cell: ({ output }) => output.trim() },
    ],
    paint,
  );
