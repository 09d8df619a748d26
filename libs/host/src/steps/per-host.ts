/** What this process knows about a host only as long as it runs. A host is found by its journal: there is one of both. */
import type { Journal } from '../journal.ts';

/** @returns what belongs to that journal, made when it is asked for first */
export function perHost<T>(make: () => T): (journal: Journal) => T {
  const known = new WeakMap<Journal, T>();
  return (journal) => {
    const its = known.get(journal) ?? make();
    known.set(journal, its);
    return its;
  };
}
