/** Which places a migration takes up, and how many there are. Pure. */
import { Limits, type HostName } from '@cmt/contracts';

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

const NUMBERS = ['out', 'in', 'fleet', 'queue'] as const;
const OF_HOST = /^(out|in)@(.+)$/;

/** Whether a name can be set: `out`, `in`, `fleet`, `queue`, `out@HOST`, `in@HOST`. */
export const limitKeys = (name: string): boolean =>
  NUMBERS.some((known) => known === name) || OF_HOST.test(name);

/** Limits from the flat form in which they are stored; what is not understood is left out, and the default holds. */
export function parseLimits(stored: Readonly<Record<string, string>>): Limits {
  const plain = Object.fromEntries(
    NUMBERS.filter((name) => isCount(stored[name])).map((name) => [name, Number(stored[name])]),
  );
  const hosts: Record<string, Record<string, number>> = {};
  for (const [name, value] of Object.entries(stored)) {
    const [, way, host] = OF_HOST.exec(name) ?? [];
    if (way !== undefined && host !== undefined && isCount(value))
      hosts[host] = { ...hosts[host], [way]: Number(value) };
  }
  const parsed = Limits.safeParse({ ...plain, hosts });
  return parsed.success ? parsed.data : Limits.parse({});
}

const isCount = (text: string | undefined): text is string =>
  text !== undefined && /^[1-9]\d{0,5}$/.test(text) && Number(text) <= 100_000;
