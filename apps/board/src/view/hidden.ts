/** What is not shown: the output of hooks, which may hold whatever the user's programs print. Pure. */
import { catalogue, messageOf, type Failure, type MigrationEvent } from '@cmt/contracts';

export const HIDDEN = '(output hidden, see `cmt status`)';

/** The sentence of a failed hook, up to its output. */
const HOOK_SENTENCE = new RegExp(
  `(${(catalogue.HOOK_FAILED.message.split('{output}')[0] ?? '').replace(/\{\w+\}/g, '[^:]*')})[\\s\\S]+$`,
);

/** The text of an event without what a hook has printed. */
export function shownText({ kind, text }: Pick<MigrationEvent, 'kind' | 'text'>): string {
  if (kind === 'hook') return text.includes(':') ? `${text.slice(0, text.indexOf(':'))} ${HIDDEN}` : text;
  return text.replace(HOOK_SENTENCE, `$1${HIDDEN}`);
}

/** The sentence of a failure without what a hook has printed. */
export const shownMessage = (failure: Failure): string =>
  messageOf(
    failure.code === 'HOOK_FAILED'
      ? { ...failure, details: { ...failure.details, output: HIDDEN } }
      : failure,
  );

/** The end of the log that explains a failure; a hook's is its output. */
export const shownLog = ({ code, log }: Failure): string | null =>
  code === 'HOOK_FAILED' ? null : (log ?? null);
