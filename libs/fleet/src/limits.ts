/** What operators have set, and which places a migration takes up. Pure. */
import { Bandwidth, Limits, type HostName } from '@cmt/contracts';

/** One place wanted: the limit's key, what it allows, and the limit in words. */
export interface PlaceWanted {
  readonly key: string;
  readonly limit: number;
  readonly words: string;
}

/** What one migration takes up while it is under way. */
export const placesOf = (limits: Limits, source: HostName, target: HostName): PlaceWanted[] => {
  const out = limits.hosts[source]?.out ?? limits.out;
  const into = limits.hosts[target]?.in ?? limits.in;
  return [
    { key: `out:${source}`, limit: out, words: `${out} at a time leave ${source}` },
    { key: `in:${target}`, limit: into, words: `${into} at a time go to ${target}` },
    { key: 'fleet', limit: limits.fleet, words: `${limits.fleet} at a time in the fleet` },
  ];
};

const NAMES = ['out', 'in', 'fleet', 'queue', 'bandwidth'] as const;
const OF_HOST = /^(out|in|bandwidth)@(.+)$/;

/** Whether a name can be set: `out`, `in`, `fleet`, `queue`, `bandwidth`, and `out`, `in`, `bandwidth` with `@HOST`. */
export const limitKeys = (name: string): boolean =>
  NAMES.some((known) => known === name) || OF_HOST.test(name);

/** Whether a limit is bytes per second; the others are counts. */
export const isRate = (name: string): boolean => name.split('@')[0] === 'bandwidth';

/** Limits from the flat form in which they are stored; what is not understood is left out, and the default holds. */
export function parseLimits(stored: Readonly<Record<string, string>>): Limits {
  const plain = Object.fromEntries(
    NAMES.filter((name) => isLimit(name, stored[name])).map((name) => [name, Number(stored[name])]),
  );
  const hosts: Record<string, Record<string, number>> = {};
  for (const [name, value] of Object.entries(stored)) {
    const [, way, host] = OF_HOST.exec(name) ?? [];
    if (way !== undefined && host !== undefined && isLimit(way, value))
      hosts[host] = { ...hosts[host], [way]: Number(value) };
  }
  const parsed = Limits.safeParse({ ...plain, hosts });
  return parsed.success ? parsed.data : Limits.parse({});
}

const isLimit = (name: string, text: string | undefined): boolean => {
  if (text === undefined || !/^[1-9]\d{0,14}$/.test(text)) return false;
  return isRate(name) ? Bandwidth.safeParse(Number(text)).success : Number(text) <= 100_000;
};
