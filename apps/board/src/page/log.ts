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
    kept.map(({ place, at, host, kind, step, text }) =>
      el(
        'li',
        { class: `line ${kind}`, 'data-key': place },
        el('time', { datetime: new Date(at).toISOString() }, moment(at, now)),
        el('span', { class: 'who' }, host),
        el(
          'span',
          { class: 'said' },
          [kind === 'progress' ? '' : kind.replace('step-', ''), step, text]
            .filter((word) => word !== '')
            .join(' '),
        ),
      ),
    ),
  );

/** Stays at the end of the log, unless the reader has gone up. */
export function keepingEnd(log: Element | null, draw: () => void): void {
  const atEnd = log === null || log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  draw();
  const drawn = document.querySelector('.log');
  if (atEnd && drawn !== null) drawn.scrollTop = drawn.scrollHeight;
}
