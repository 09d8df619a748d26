/** `--hook-pre-restore '@target /opt/check --quick'`: a hook as it is typed. */
import type { Hook, HookName, HookPlace } from '@cmt/contracts';
import { invalid } from './invalid.ts';
import { splitWords, WordsError } from './words.ts';

const PLACES: Readonly<Record<string, HookPlace>> = {
  '@source': 'source',
  '@target': 'target',
  '@coordinator': 'coordinator',
};

/** @throws {CmtError} REQUEST_INVALID naming the flag. */
export function parseHook(name: HookName, text: string, timeoutMs: number): Hook {
  const flag = `--hook-${name}`;
  const [first = '', ...rest] = words(flag, text);
  const place = PLACES[first];
  if (place === undefined && first.startsWith('@'))
    throw invalid(flag, `${first} is no place; write @source, @target or nothing`);
  const argv = place === undefined ? [first, ...rest] : rest;
  if (!argv[0]) throw invalid(flag, 'names no program');
  return { name, place: place ?? 'coordinator', argv, timeoutMs };
}

function words(flag: string, text: string): string[] {
  try {
    return splitWords(text);
  } catch (error) {
    if (error instanceof WordsError) throw invalid(flag, error.message);
    throw error;
  }
}
