/** The rows of a migration against time, the blackout as a band through all of them. */
import type { Bar, Row, Timeline } from '../view/migration-view.ts';
import { el, svg } from './element.ts';
import { duration, ticks } from './words.ts';

/** What is looked at: all of it, or the blackout and a little around it. */
export type Zoom = 'whole' | 'blackout';

interface Window {
  readonly from: number;
  readonly to: number;
}

/** Percent. */
const LEAST = 0.5;

/** @param now milliseconds since 1970 on the clock of the timeline */
export function timeline(time: Timeline, zoom: Zoom, now: number): HTMLElement {
  const window = windowOf(time, zoom, now);
  const canZoom = time.blackout !== null;
  return el(
    'div',
    { class: 'timeline' },
    el(
      'div',
      { class: 'timeline-head' },
      canZoom ? zoomButtons(zoom) : null,
      el('p', { class: canZoom ? 'key still' : 'key' }, blackoutWords(time, now)),
    ),
    el(
      'ol',
      { class: 'rows' },
      axis(time, window),
      time.rows.map((row) => rowOf(row, time, window, now)),
    ),
    meanings(time.rows),
  );
}

/** What each row does. */
const meanings = (rows: readonly Row[]): HTMLElement =>
  el(
    'details',
    {},
    el('summary', {}, 'What the rows do'),
    el(
      'dl',
      { class: 'does' },
      rows.map(({ name, does, side }) =>
        el('div', {}, el('dt', {}, name), el('dd', {}, `${does} (${side})`)),
      ),
    ),
  );

function windowOf({ from, to, blackout }: Timeline, zoom: Zoom, now: number): Window {
  const end = to ?? now;
  if (zoom === 'whole' || blackout === null) return { from, to: Math.max(end, from + 1) };
  const over = blackout.to ?? now;
  const margin = Math.max(50, (over - blackout.from) * 0.35);
  return { from: blackout.from - margin, to: over + margin };
}

const zoomButtons = (zoom: Zoom): HTMLElement =>
  el(
    'div',
    { class: 'zoom', role: 'group', 'aria-label': 'What is shown' },
    (['whole', 'blackout'] as const).map((each) =>
      el(
        'button',
        { type: 'button', 'data-zoom': each, 'aria-pressed': String(each === zoom) },
        each === 'whole' ? 'All of it' : 'The blackout',
      ),
    ),
  );

function blackoutWords({ blackout, placed }: Timeline, now: number): string {
  if (!placed) return 'The events are no longer kept: durations stand one after the other.';
  if (blackout === null) return 'The container has not stood still.';
  const length = duration((blackout.to ?? now) - blackout.from);
  if (blackout.to === null) return `The container stands still, for ${length} at most.`;
  return blackout.exact
    ? `The container stood still for ${length}.`
    : `The container stood still for ${length} at most.`;
}

function axis({ from }: Timeline, window: Window): HTMLElement {
  const span = window.to - window.from;
  const start = Math.max(0, window.from - from);
  const marks = ticks(span).map((tick) =>
    svg(
      'text',
      { x: `${((100 * tick) / span).toFixed(2)}%`, y: 12, class: tick === 0 ? 'first' : '' },
      duration(start + tick),
    ),
  );
  return el(
    'li',
    { class: 'row axis', 'aria-hidden': 'true', 'data-key': 'axis' },
    el('span', { class: 'name' }),
    svg(
      'svg',
      { class: 'track' },
      marks.slice(0, -1).length > 0
        ? marks.filter((_, at) => (100 * (ticks(span)[at] ?? 0)) / span < 92)
        : marks,
    ),
    el('span', { class: 'took' }),
  );
}

function rowOf(row: Row, time: Timeline, window: Window, now: number): HTMLElement {
  const { name, kind, state, bars, isUndo } = row;
  const took = bars.reduce((sum, { from, to }) => sum + ((to ?? now) - from), 0);
  const hosts = [...new Set(bars.map(({ host }) => host))].join(', ');
  const tries = bars.length - new Set(bars.map(({ host }) => host)).size;
  const note = bars.findLast((bar) => bar.note !== '')?.note;
  return el(
    'li',
    {
      class: `row ${state.replace(' ', '-')}${isUndo ? ' undo' : ''}`,
      'data-key': `${isUndo ? 'undo-' : ''}${name}`,
    },
    el(
      'span',
      { class: 'name' },
      el('span', { class: `state-mark ${state.replace(' ', '-')}`, 'aria-hidden': 'true' }),
      el('span', {}, kind === 'hook' ? `hook ${name}` : name),
      el('span', { class: 'host-of' }, hosts),
    ),
    svg(
      'svg',
      { class: 'track', 'aria-hidden': 'true' },
      band(time, window, now),
      bars.map((bar) => barOf(bar, row, window, now)),
    ),
    el(
      'span',
      { class: 'took' },
      bars.length > 0 ? duration(took) : el('span', { class: 'absent' }, state),
      tries > 0 ? el('span', { class: 'tries' }, ` ${tries + 1} tries`) : null,
      el('span', { class: 'unseen' }, `, ${state}${row.blackout ? ', in the blackout' : ''}`),
    ),
    note === undefined ? null : el('span', { class: 'row-note' }, note),
  );
}

function barOf(
  { from, to, ok, host }: Bar,
  { name, blackout }: Row,
  window: Window,
  now: number,
): SVGElement {
  const kind = to === null ? 'now' : ok === false ? 'failed' : blackout ? 'blackout' : 'step';
  const words = `${name} on ${host}: ${duration((to ?? now) - from)}${ok === false ? ', failed' : ''}`;
  return svg(
    'rect',
    { class: `on-${kind}`, ...place({ from, to: to ?? now }, window), y: '25%', height: '50%', rx: 3 },
    svg('title', {}, words),
  );
}

function band({ blackout }: Timeline, window: Window, now: number): SVGElement | null {
  if (blackout === null) return null;
  const where = place({ from: blackout.from, to: blackout.to ?? now }, window);
  return svg('rect', { class: 'band', ...where, y: 0, height: '100%' });
}

/** In percent of the window, cut at its edges. */
function place({ from, to }: Window, window: Window): { x: string; width: string } {
  const span = window.to - window.from;
  const percent = (at: number) => Math.min(100, Math.max(0, (100 * (at - window.from)) / span));
  const outside = to < window.from || from > window.to;
  const width = outside ? 0 : Math.max(LEAST, percent(to) - percent(from));
  return { x: `${Math.min(percent(from), 100 - width).toFixed(3)}%`, width: `${width.toFixed(3)}%` };
}
