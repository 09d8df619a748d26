/** `50MiB/s`, `1Gbit/s`: rates as people write them. */
import { invalid } from './invalid.ts';

const UNITS: Readonly<Record<string, number>> = {
  ...{ B: 1, kB: 1e3, MB: 1e6, GB: 1e9 },
  ...{ KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 },
  ...{ kbit: 125, Mbit: 125e3, Gbit: 125e6 },
};

/** Bytes per second, whole. `/s` may be left out. @throws {CmtError} REQUEST_INVALID naming `flag`. */
export function parseBandwidth(flag: string, text: string): number {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)([A-Za-z]+)(?:\/s)?$/.exec(text) ?? [];
  const factor = UNITS[unit];
  if (amount === undefined || factor === undefined)
    throw invalid(flag, `'${text}' is no rate; write 50MiB/s, 100MB/s or 1Gbit/s`);
  return Math.round(Number(amount) * factor);
}
