/** `300ms`, `1.5s`, `2m`: times as people write them. */
import { invalid } from './invalid.ts';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

/** Milliseconds, whole. A number without a unit counts as milliseconds. @throws {CmtError} REQUEST_INVALID naming `flag`. */
export function parseDuration(flag: string, text: string): number {
  const [, amount, unit = 'ms'] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(text) ?? [];
  const factor = UNITS[unit];
  if (amount === undefined || factor === undefined)
    throw invalid(flag, `'${text}' is no time; write 300ms, 1.5s or 2m`);
  return Math.round(Number(amount) * factor);
}
