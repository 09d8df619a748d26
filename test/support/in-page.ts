/**
 * What runs inside the page: each function is sent there as text, and so uses nothing from outside itself. The tests are checked
 * without the browser's types; as much of its world as is used is written down here.
 */

interface Style {
  readonly color: string;
  readonly backgroundColor: string;
  readonly outlineStyle: string;
}
interface Box {
  readonly left: number;
  readonly right: number;
}
interface Drawn {
  readonly id: string;
  readonly parentElement: Drawn | null;
  readonly childNodes: Iterable<{ readonly nodeType: number; readonly textContent: string | null }>;
  readonly textContent: string | null;
  readonly scrollWidth: number;
  readonly clientWidth: number;
  querySelector(selector: string): Drawn | null;
  getClientRects(): { readonly length: number };
  getBoundingClientRect(): Box;
}
interface Browser {
  readonly document: {
    readonly documentElement: Drawn;
    readonly activeElement: Drawn | null;
    querySelector(selector: string): Drawn | null;
    querySelectorAll(selector: string): Iterable<Drawn>;
  };
  readonly getComputedStyle: (of: Drawn) => Style;
}

/** Width of what is inside the page, and of what is seen of it, in points. */
export function widths(): readonly [inside: number, seen: number] {
  const { documentElement } = (globalThis as unknown as Browser).document;
  return [documentElement.scrollWidth, documentElement.clientWidth];
}

/** The words on what has the focus, or its id. */
export function focused(): string {
  const { activeElement } = (globalThis as unknown as Browser).document;
  return activeElement?.textContent?.trim() || (activeElement?.id ?? '');
}

/** How the first element of that selector is drawn. */
export function styleOf(selector: string): Style {
  const { document, getComputedStyle } = globalThis as unknown as Browser;
  const element = document.querySelector(selector);
  if (element === null) throw new Error(`nothing is ${selector}`);
  const { color, backgroundColor, outlineStyle } = getComputedStyle(element);
  return { color, backgroundColor, outlineStyle };
}

/** Left and right ends of the first bar and of the blackout's band, of each row of the timeline. */
export function timelineEdges(): { readonly bar: Box | null; readonly band: Box }[] {
  const { document } = globalThis as unknown as Browser;
  const boxOf = (element: Drawn): Box => {
    const { left, right } = element.getBoundingClientRect();
    return { left, right };
  };
  return [...document.querySelectorAll('.row:not(.axis) .track')].map((track) => {
    const bar = track.querySelector('rect:not(.band)');
    const band = track.querySelector('.band');
    if (band === null) throw new Error('a row has no band');
    return { bar: bar === null ? null : boxOf(bar), band: boxOf(band) };
  });
}

/** Texts whose contrast is below what WCAG 2.2 wants at level AA (1.4.3: 4.5 to 1). */
export function lowContrasts(): string[] {
  const { document, getComputedStyle } = globalThis as unknown as Browser;
  const partsOf = (color: string): number[] => (color.match(/[\d.]+/g) ?? []).map(Number);
  const groundOf = (element: Drawn | null): number[] => {
    if (element === null) return [255, 255, 255];
    const parts = partsOf(getComputedStyle(element).backgroundColor);
    return parts.length === 4 && parts[3] === 0 ? groundOf(element.parentElement) : parts;
  };
  const luminance = (color: readonly number[]): number => {
    const [red = 0, green = 0, blue = 0] = color.slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one: number, other: number): number =>
    (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  const low: string[] = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(
      ({ nodeType, textContent }) => nodeType === 3 && (textContent ?? '').trim() !== '',
    );
    if (!own || element.getClientRects().length === 0) continue;
    const ratio = contrast(luminance(partsOf(getComputedStyle(element).color)), luminance(groundOf(element)));
    if (ratio < 4.5) low.push(`${(element.textContent ?? '').slice(0, 30)} ${ratio.toFixed(2)}`);
  }
  return low;
}
