/** `out=3`, `in@host1=4`, `bandwidth=1Gbit/s`, `fleet=default`: limits as they are typed. */
import { isRate, limitKeys, parseLimits } from '@cmt/fleet';
import { parseBandwidth } from './bandwidth.ts';
import { invalid } from './invalid.ts';

/** Numbers by name, null for the default. A leading `set` is a word and no more. @throws {CmtError} REQUEST_INVALID */
export function parseSettings(typed: readonly string[]): Record<string, number | null> {
  const words = typed[0] === 'set' ? typed.slice(1) : typed;
  if (typed.length > 0 && words.length === 0) throw invalid('limits set', 'say what, e.g. out=3');
  return Object.fromEntries(words.map(parseSetting));
}

function parseSetting(text: string): [string, number | null] {
  const [name = '', value = ''] = text.split('=');
  if (!limitKeys(name))
    throw invalid(
      'limits',
      `'${text}' names no limit; there are out, in, bandwidth (each also as NAME@HOST), fleet and queue`,
    );
  if (value === 'default') return [name, null];
  return [name, isRate(name) ? parseRate(name, value) : parseCount(name, value)];
}

const plainOf = (name: string): string => name.split('@')[0] ?? name;
const isUnderstood = (name: string, value: string): boolean =>
  Object.entries(parseLimits({ [plainOf(name)]: value })).some(
    ([known, number]) => known === plainOf(name) && number === Number(value),
  );

function parseCount(name: string, value: string): number {
  if (isUnderstood(name, value)) return Number(value);
  throw invalid('limits', `${name} must be a number from 1 to 100000, or default`);
}

function parseRate(name: string, value: string): number {
  const rate = parseBandwidth(`limits ${name}`, value);
  if (isUnderstood(name, String(rate))) return rate;
  throw invalid('limits', `${name} must be at least 64KiB/s, or default`);
}

/** The host that a limit is about, or undefined. */
export const hostOfSetting = (name: string): string | undefined => name.split('@')[1];
