/** What was told of a migration, line by line. */
import type { Line } from '../view/migration-view.ts';
import { el } from './element.ts';
import { moment } from './words.ts';

/** Lines on the page; `cmt logs` has all of them. */
const SHOWN = 500;

const kept: Line[] = [];

export function keepLines({
  fresh,
  lines,
}: {
  readonly fresh: boolean;
  readonly lines: readonly Line[];
}): void {
  if (!fresh) kept.length = 0;
  kept.push(...lines);
  kept.splice(0, Math.max(0, kept.length - SHOWN));
}

export const logOf = (now: number): HTMLElement =>
  el(
    'ol',
    { class: 'log', tabindex: 0, role: 'log', 'aria-live': 'off', 'aria-label': 'What was told' },
    kept.length === 0 ? el('li', { class: 'empty' }, 'Nothing was told, or it is no longer kept.') : null,
    kept.map((line) => lineOf(line, now)),
  );

const lineOf = (line: Line, now: number): HTMLElement =>
  el(
    'li',
    { class: `line ${line.kind}`, 'data-key': line.place },
    el(
      'time',
      { datetime: new Date(line.at).toISOString() },
      `${moment(line.at, now)}.${String(line.at % 1000).padStart(3, '0')}`,
    ),
    el('span', { class: 'who' }, line.host),
    el('span', { class: 'said' }, wordsOf(line)),
  );

function wordsOf({ kind, step, text }: Line): string {
  if (kind === 'step-started') return `${step} begins`;
  if (kind === 'step-ended') return text === 'done' ? `${step} done` : `${step} failed: ${text}`;
  if (kind === 'hook') return `hook ${text}`;
  return [kind === 'progress' ? '' : `${kind}:`, step, text].filter((word) => word !== '').join(' ');
}

/** Stays at the end of the log, unless the reader has gone up. */
export function keepingEnd(log: Element | null, draw: () => void): void {
  const atEnd = log === null || log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  draw();
  const drawn = document.querySelector('.log');
  if (atEnd && drawn !== null) drawn.scrollTop = drawn.scrollHeight;
}
