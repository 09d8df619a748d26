/** How old a signed job may be when it is begun: what is older than the ledger remembers could be a replay. */
const DAY_MS = 24 * 3600 * 1000;

/** Milliseconds. A leg waits for a worker for seconds; the rest is for clocks that disagree. */
export const LEG_FRESH_MS = DAY_MS;
/** A migration may wait for a coordinator. */
export const MIGRATION_FRESH_MS = 7 * DAY_MS;

/** An operator waits for the answer. */
export const ORDER_FRESH_MS = DAY_MS / 24;

/** Why a job signed at `signedAt` (milliseconds since 1970) is not begun now, or null. */
export function staleness(signedAt: number, freshMs: number, now: number): string | null {
  if (now - signedAt > freshMs) return `it was signed ${Math.round((now - signedAt) / 3_600_000)} hours ago`;
  if (signedAt - now > DAY_MS) return 'it was signed in the future';
  return null;
}
