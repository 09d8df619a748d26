/** Versions as tools print them. Pure. */

/** True when every reading agrees that `one` is older: numbers are compared as numbers, from the left. */
export function olderThan(one: string, other: string): boolean {
  const [a, b] = [numbers(one), numbers(other)];
  for (let at = 0; at < Math.max(a.length, b.length); at += 1) {
    const [left, right] = [a[at] ?? 0, b[at] ?? 0];
    if (left !== right) return left < right;
  }
  return false;
}

const numbers = (text: string): number[] =>
  (/\d+(\.\d+)*/.exec(text)?.[0] ?? '').split('.').filter(Boolean).map(Number);
