/** A state as a word with a colour; the word alone says it all. */
import { el } from './element.ts';

const TONES: Readonly<Record<string, string>> = {
  ...{ online: 'ok', unreachable: 'warn', offline: 'bad', drained: 'drained' },
  ...{ queued: 'quiet', running: 'busy', committed: 'busy', 'rolling-back': 'warn' },
  ...{ done: 'ok', validated: 'ok', refused: 'quiet', 'rolled-back': 'warn', cancelled: 'quiet' },
  'needs-operator': 'bad',
};

const WORDS: Readonly<Record<string, string>> = {
  'needs-operator': 'needs you',
  'rolled-back': 'rolled back',
  'rolling-back': 'rolling back',
};

export const wordOf = (state: string): string => WORDS[state] ?? state;

export const pill = (state: string): HTMLElement =>
  el('span', { class: `pill ${TONES[state] ?? 'quiet'}` }, wordOf(state));
