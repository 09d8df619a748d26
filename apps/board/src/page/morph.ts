/**
 * Makes what stands on the page equal to what was drawn anew, and touches nothing that is equal already: focus, scroll
 * positions, open details and typed words stay. Children with a `data-key` are the same ones wherever they move to.
 */

/** Attributes that belong to the reader, not to what was drawn. */
const READERS = new Set(['open']);

export function morphChildren(parent: Element, drawn: readonly Node[]): void {
  const wanted = new Set(drawn.map(keyOf).filter((key) => key !== null));
  for (const child of [...parent.childNodes]) {
    const key = keyOf(child);
    if (key !== null && !wanted.has(key)) child.remove();
  }
  const keyed = new Map([...parent.childNodes].map((child) => [keyOf(child), child] as const));
  let next: ChildNode | null = parent.firstChild;
  for (const fresh of drawn) {
    const key = keyOf(fresh);
    const same: ChildNode | null =
      key !== null
        ? (keyed.get(key) ?? null)
        : next !== null && keyOf(next) === null && isSameKind(next, fresh)
          ? next
          : null;
    if (same === null) {
      parent.insertBefore(fresh, next);
      continue;
    }
    if (same === next) next = next.nextSibling;
    else parent.insertBefore(same, next);
    morphNode(same, fresh);
  }
  while (next !== null) {
    const rest: ChildNode | null = next.nextSibling;
    next.remove();
    next = rest;
  }
}

function morphNode(old: ChildNode, fresh: Node): void {
  if (old instanceof Element && fresh instanceof Element) {
    morphAttributes(old, fresh);
    morphChildren(old, [...fresh.childNodes]);
  } else if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
}

function morphAttributes(old: Element, fresh: Element): void {
  for (const { name, value } of fresh.attributes)
    if (old.getAttribute(name) !== value && !READERS.has(name)) old.setAttribute(name, value);
  for (const { name } of [...old.attributes])
    if (!fresh.hasAttribute(name) && !READERS.has(name)) old.removeAttribute(name);
}

const isSameKind = (one: Node, other: Node): boolean =>
  one.nodeType === other.nodeType && one.nodeName === other.nodeName;

const keyOf = (node: Node): string | null => (node instanceof Element ? node.getAttribute('data-key') : null);
