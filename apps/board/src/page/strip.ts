/** A migration as one strip of stretches, each wide enough to be seen. */
import type { Stretch } from '../view/fleet-view.ts';
import { el, svg } from './element.ts';
import { duration } from './words.ts';

/** Units of the drawing. */
const WIDTH = 1000;
const HEIGHT = 12;
const GAP = 4;
const LEAST = 14;
const NOW = 70;

export function strip(stretches: readonly Stretch[]): Node {
  if (stretches.length === 0) return el('p', { class: 'strip-empty' }, 'nothing has been done yet');
  const widths = widthsOf(stretches);
  let x = 0;
  const rects = stretches.map(({ kind, name, ms }, at) => {
    const width = widths[at] ?? 0;
    const rect = svg(
      'rect',
      { class: `on-${kind}`, x, y: 0, width: Math.max(1, width - GAP), height: HEIGHT, rx: 3 },
      svg('title', {}, kind === 'now' ? `${name}, now` : `${name} ${duration(ms)}`),
    );
    x += width;
    return rect;
  });
  const label = stretches.map(({ kind, name, ms }) =>
    kind === 'now' ? `now ${name}` : `${name} ${duration(ms)}${kind === 'failed' ? ', failed' : ''}`,
  );
  return svg(
    'svg',
    {
      class: 'strip',
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: 'none',
      ...{ role: 'img', 'aria-label': label.join(', ') },
    },
    rects,
  );
}

/** By time; but none too narrow to be seen, and what is under way as wide as room is left for it. */
function widthsOf(stretches: readonly Stretch[]): number[] {
  const isNow = stretches.some(({ kind }) => kind === 'now');
  const sum = stretches.reduce((total, { ms }) => total + ms, 0) || 1;
  const room = (isNow ? WIDTH * 0.8 - NOW : WIDTH) - LEAST * stretches.length;
  return stretches.map(({ kind, ms }) =>
    kind === 'now' ? NOW + LEAST : LEAST + (Math.max(0, room) * ms) / sum,
  );
}
