/** Lines over two axes of which each step is a doubling, as an SVG. Pure. */

export interface Picture {
  readonly lines: readonly { readonly name: string; readonly points: readonly { x: number; y: number }[] }[];
  readonly x: string;
  readonly y: string;
  readonly about: string;
}

const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [720, 400, 70, 150, 30, 60] as const;
const COLOURS = ['#0b6', '#06c', '#c60', '#a3a', '#666', '#c33', '#088', '#860'];

export function picture({ lines, x, y, about }: Picture): string {
  const all = lines.flatMap(({ points }) => points);
  const across = axis(
    all.map((point) => point.x),
    LEFT,
    WIDTH - RIGHT,
  );
  const up = axis(
    all.map((point) => point.y),
    HEIGHT - BOTTOM,
    TOP,
  );
  const drawn = lines.map(({ name, points }, n) => {
    const colour = COLOURS[n % COLOURS.length] ?? '#000';
    const places = points.map((point) => [across.at(point.x), up.at(point.y)] as const);
    const last = places.at(-1);
    return [
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${places.map(([a, b]) => `${a},${b}`).join(' ')}"/>`,
      ...places.map(([a, b]) => `<circle cx="${a}" cy="${b}" r="3" fill="${colour}"/>`),
      last === undefined ? '' : text(last[0] + 8, last[1] + 4, name, `fill="${colour}"`),
    ].join('\n');
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    ...across.ticks.map((tick) => ruler(across.at(tick), TOP, across.at(tick), HEIGHT - BOTTOM)),
    ...across.ticks.map((tick) =>
      text(across.at(tick), HEIGHT - BOTTOM + 18, `${tick}`, 'text-anchor="middle"'),
    ),
    ...up.ticks.map((tick) => ruler(LEFT, up.at(tick), WIDTH - RIGHT, up.at(tick))),
    ...up.ticks.map((tick) => text(LEFT - 8, up.at(tick) + 4, `${tick}`, 'text-anchor="end"')),
    text(WIDTH - RIGHT, HEIGHT - BOTTOM + 40, `${x} (${about})`, 'text-anchor="end"'),
    text(LEFT - 8, TOP - 12, y, 'text-anchor="middle"'),
    ...drawn,
    '</svg>\n',
  ].join('\n');
}

interface Axis {
  readonly ticks: readonly number[];
  at(value: number): number;
}

/** Doublings from the least value to the greatest; what is not above zero stands one step below the least. */
function axis(values: readonly number[], from: number, to: number): Axis {
  const positive = values.filter((value) => value > 0);
  const least = Math.floor(Math.log2(Math.min(...positive)));
  const first = positive.length < values.length ? least - 1 : least;
  const last = Math.max(first + 1, Math.ceil(Math.log2(Math.max(...positive))));
  const at = (value: number): number => {
    const step = value > 0 ? Math.log2(value) : first;
    return Math.round(from + ((step - first) / (last - first)) * (to - from));
  };
  const steps = Array.from({ length: last - first + 1 }, (_, n) => 2 ** (first + n));
  return { at, ticks: positive.length < values.length ? [0, ...steps.slice(1)] : steps };
}

const ruler = (x1: number, y1: number, x2: number, y2: number): string =>
  `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="#ddd"/>`;
const text = (x: number, y: number, words: string, more: string): string =>
  `<text x="${x}" y="${y}" ${more}>${words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`;
