/** Elements from words: `el('p', { class: 'sub' }, 'text')`. Text is always text, never markup. */

export type Child = Node | string | null | readonly Child[];
export type Attributes = Readonly<Record<string, string | number | boolean | null | undefined>>;

const SVG = 'http://www.w3.org/2000/svg';

export const el = (tag: string, attributes: Attributes = {}, ...children: readonly Child[]): HTMLElement =>
  filled(document.createElement(tag), attributes, children);

export const svg = (tag: string, attributes: Attributes = {}, ...children: readonly Child[]): SVGElement =>
  filled(document.createElementNS(SVG, tag), attributes, children);

function filled<E extends Element>(element: E, attributes: Attributes, children: readonly Child[]): E {
  for (const [name, value] of Object.entries(attributes))
    if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? '' : String(value));
  append(element, children);
  return element;
}

function append(element: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child === null) continue;
    if (typeof child === 'string' || child instanceof Node) element.append(child);
    else append(element, child);
  }
}
