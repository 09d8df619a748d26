/** The catalogue's part about what was asked for. */
import { entry, type Entry } from '../reaction.ts';

export const requestErrors = {
  REQUEST_INVALID: entry(
    'refuse',
    'The request is not valid: {problem}.',
    'Correct what is named; `--help` shows examples.',
  ),
  REQUEST_NEWER: entry(
    'refuse',
    'The job has format version {version}, this cmt understands 1.',
    'Upgrade cmt on {host}.',
  ),
  REQUEST_FORGED: entry(
    'refuse',
    'The job on {queue} carries no valid signature: {problem}.',
    'Add the sender to the trusted keys on {host} if the job is yours; otherwise find out who can write to Redis.',
  ),
  ANSWER_UNREADABLE: entry(
    'refuse',
    'The answer of the coordinator cannot be read here: {problem}.',
    'What was asked for may have been done: look before you ask again. Run the same version of cmt here and there.',
  ),
  CONFIG_INVALID: entry(
    'refuse',
    'The configuration is not valid: {problem}.',
    'Correct {where}; flags override CMT_* variables, and those override the file.',
  ),
  SAME_HOST: entry('refuse', 'Source and target are both {host}.', 'Name two different hosts.'),
  HOOK_FORBIDDEN: entry(
    'refuse',
    'Hook {hook} wants to run {program}, which {host} does not allow.',
    'List the program under `hooks` in the configuration of {host}.',
  ),
  MODE_UNSUPPORTED: entry(
    'refuse',
    'Mode {mode} is not possible: {reason}.',
    'Use `--mode auto`, which picks what both hosts can do.',
  ),
  RUNTIME_UNSUPPORTED: entry(
    'refuse',
    'Runtime {runtime} is not supported on {host}.',
    'Use a runc container.',
  ),
} as const satisfies Record<string, Entry>;
