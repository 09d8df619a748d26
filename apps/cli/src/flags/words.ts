/**
 * Splits a command line into words the way a shell does for quotes and backslashes, and only that:
 * no variables, no globs, no operators. What would need a shell is an error, not a surprise.
 */

/** A command line that cannot be split without guessing. */
export class WordsError extends Error {}

const SHELL_ONLY = /[|&;<>`$()*?~#]/;

interface Reading {
  readonly words: string[];
  /** The word being read; undefined between words, '' after an empty pair of quotes. */
  word: string | undefined;
  quote: '"' | "'" | undefined;
}

/** @throws {WordsError} for an open quote, a trailing backslash, or a bare character that only a shell understands. */
export function splitWords(text: string): string[] {
  const reading: Reading = { words: [], word: undefined, quote: undefined };
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    const escapes = character === '\\' && reading.quote !== "'";
    if (escapes) at += 1;
    if (at >= text.length) throw new WordsError('it ends with a backslash');
    if (escapes) reading.word = (reading.word ?? '') + unescaped(text.charAt(at), reading.quote);
    else take(reading, character);
  }
  if (reading.quote !== undefined) throw new WordsError(`a ${reading.quote} is never closed`);
  if (reading.word !== undefined) reading.words.push(reading.word);
  return reading.words;
}

/** Between double quotes a backslash stays unless it stands before a quote or a backslash (POSIX sh, 2.2.3). */
const unescaped = (character: string, quote: Reading['quote']): string =>
  quote === '"' && character !== '"' && character !== '\\' ? `\\${character}` : character;

function take(reading: Reading, character: string): void {
  if (character === reading.quote) reading.quote = undefined;
  else if (reading.quote !== undefined) reading.word = (reading.word ?? '') + character;
  else if (character === '"' || character === "'") {
    reading.quote = character;
    reading.word ??= '';
  } else if (/\s/.test(character)) {
    if (reading.word !== undefined) reading.words.push(reading.word);
    reading.word = undefined;
  } else if (SHELL_ONLY.test(character)) {
    throw new WordsError(`${character} means something to a shell only; quote it, or call one: sh -c '…'`);
  } else reading.word = (reading.word ?? '') + character;
}
