/** Events folded into runs of steps: when each began and ended, on Redis's clock alone. Pure. */
import type { ToldEvent } from '@cmt/queue';
import { shownText } from './hidden.ts';

export interface Run {
  readonly step: string;
  readonly host: string;
  readonly from: number;
  readonly to: number | null;
  readonly ok: boolean | null;
  readonly note: string;
}

/** What a worker says at the end of a step that went well; anything else is why it did not. */
const WELL = 'done';

/** Takes in one event. */
export function withEvent(runs: readonly Run[], { event, heardAt }: ToldEvent): readonly Run[] {
  const { kind, step, host } = event;
  if (step === undefined) return runs;
  const fresh: Run = { step, host, from: heardAt, to: null, ok: null, note: '' };
  const at = runs.findLastIndex((run) => run.step === step && run.host === host && run.to === null);
  const open = runs[at];
  switch (kind) {
    case 'step-started': {
      const before = open === undefined ? runs : runs.with(at, { ...open, to: heardAt, note: 'begun again' });
      return [...before, fresh];
    }
    case 'step-ended': {
      const ok = event.text === WELL;
      const ended = { ...(open ?? fresh), to: heardAt, ok, note: ok ? '' : shownText(event) };
      return open === undefined ? [...runs, ended] : runs.with(at, ended);
    }
    case 'progress':
      return open === undefined ? runs : runs.with(at, { ...open, note: progressText(event) });
    case 'hook':
      return [...runs, { ...fresh, to: heardAt, ok: !/ failed/.test(event.text) }];
    case 'state':
    case 'note':
    case 'warning':
      return runs;
  }
}

function progressText({ text, done, total }: ToldEvent['event']): string {
  if (done === undefined || total === undefined || total <= 0) return text;
  return `${text} ${Math.min(100, Math.floor((100 * done) / total))} %`;
}
