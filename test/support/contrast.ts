/** Runs in the page: texts whose contrast is below what WCAG 2.2 wants at level AA (1.4.3: 4.5 to 1). */

/** As much of the browser's world as is used here; the tests are checked without its types. */
interface Drawn {
  readonly parentElement: Drawn | null;
  readonly childNodes: Iterable<{ readonly nodeType: number; readonly textContent: string | null }>;
  readonly textContent: string | null;
  getClientRects(): { readonly length: number };
}
interface Browser {
  readonly document: { querySelectorAll(selector: string): Iterable<Drawn> };
  getComputedStyle(of: Drawn): { readonly color: string; readonly backgroundColor: string };
}

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
