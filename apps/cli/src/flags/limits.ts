/** `out=3`, `in@host1=4`, `fleet=default`: limits as they are typed. */
import { limitKeys, parseLimits } from '@cmt/fleet';
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
      `'${text}' names no limit; there are out, in, out@HOST, in@HOST, fleet and queue`,
    );
  if (value === 'default') return [name, null];
  const plain = name.split('@')[0] ?? name;
  const isUnderstood = Object.entries(parseLimits({ [plain]: value })).some(
    ([known, number]) => known === plain && number === Number(value),
  );
  if (!isUnderstood) throw invalid('limits', `${name} must be a number from 1 to 100000, or default`);
  return [name, Number(value)];
}

/** The host that a limit is about, or undefined. */
export const hostOfSetting = (name: string): string | undefined => name.split('@')[1];
