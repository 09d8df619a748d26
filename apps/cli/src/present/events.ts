/** A migration's events: one line each, or folded into what a terminal shows while it runs. */
import type { MigrationEvent } from '@cmt/contracts';
import { oneLine, type Paint } from './paint.ts';
import { share, size, time } from './units.ts';

/** One event as one line of a log. A start says no more than the name of its step. */
export function eventLine(event: MigrationEvent, paint: Paint): string {
  const at = paint.dim(new Date(event.at).toISOString());
  const said = event.text === event.step ? '' : oneLine(event.text);
  const words = [event.step, said].filter((word) => word !== undefined && word !== '').join(': ');
  return `${at} ${event.host} ${kindPainted(event, paint)} ${words}${amount(event)}\n`;
}

function kindPainted({ kind }: MigrationEvent, paint: Paint): string {
  if (kind === 'warning') return paint.yellow(kind);
  return kind === 'state' ? paint.bold(kind) : kind;
}

function amount({ done, total }: Pick<MigrationEvent, 'done' | 'total'>): string {
  if (done === undefined) return '';
  return total === undefined ? ` ${size(done)}` : ` ${size(done)} of ${size(total)} (${share(done, total)})`;
}

/** A step as the terminal shows it. */
interface Shown {
  readonly step: string;
  readonly host: string;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly failed: boolean;
  readonly note: string;
}

/** Everything heard so far, folded. */
export interface Progress {
  readonly state: string;
  readonly steps: readonly Shown[];
  readonly remarks: readonly { readonly text: string; readonly warns: boolean }[];
}

export const noProgress: Progress = { state: 'queued', steps: [], remarks: [] };

/** What a worker says at the end of a step that went well; anything else is why it did not. */
const WELL = 'done';

/** Takes in one event. An event that is heard twice changes nothing. */
export function advance(progress: Progress, event: MigrationEvent): Progress {
  const { kind, text } = event;
  switch (kind) {
    case 'state':
      return { ...progress, state: text };
    case 'warning':
    case 'note':
    case 'hook':
      return progress.remarks.some((remark) => remark.text === text)
        ? progress
        : { ...progress, remarks: [...progress.remarks, { text, warns: kind === 'warning' }] };
    case 'step-started':
    case 'step-ended':
    case 'progress':
      return event.step === undefined
        ? progress
        : { ...progress, steps: stepsWith(progress.steps, event, event.step) };
  }
}

/** The latest run of that step on that host takes the event; a start after its end is a run of its own. */
function stepsWith(steps: readonly Shown[], event: MigrationEvent, step: string): readonly Shown[] {
  const at = steps.findLastIndex((shown) => shown.step === step && shown.host === event.host);
  const open = steps[at];
  const fresh = { step, host: event.host, startedAt: event.at, endedAt: null, failed: false, note: '' };
  if (open === undefined) return [...steps, taking(fresh, event)];
  if (event.kind === 'step-started') return event.at > (open.endedAt ?? Infinity) ? [...steps, fresh] : steps;
  return steps.with(at, taking(open, event));
}

function taking(shown: Shown, event: MigrationEvent): Shown {
  const text = oneLine(event.text);
  if (event.kind === 'step-started') return shown;
  if (event.kind === 'progress') return { ...shown, note: `${text}${amount(event)}` };
  const failed = text !== WELL;
  return { ...shown, endedAt: event.at, failed, note: failed ? text : '' };
}

/** What the terminal shows at `now`, one entry a line. */
export function progressLines(progress: Progress, now: number, paint: Paint): string[] {
  const steps = progress.steps.map((shown) => {
    const { step, host, startedAt, endedAt, note } = shown;
    const took = time(Math.max(0, (endedAt ?? now) - startedAt));
    return `${markOf(shown, paint)} ${step.padEnd(18)}${host.padEnd(16)}${took}${note ? `  ${paint.dim(note)}` : ''}`;
  });
  const remarks = progress.remarks.map(
    ({ text, warns }) => `${warns ? paint.yellow('!') : ' '} ${paint.dim(oneLine(text))}`,
  );
  return [...steps, ...remarks, `  ${paint.bold(progress.state)}`];
}

function markOf({ endedAt, failed }: Shown, paint: Paint): string {
  if (endedAt === null) return paint.cyan('>');
  return failed ? paint.red('x') : paint.green('+');
}
