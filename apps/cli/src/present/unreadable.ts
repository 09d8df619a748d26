/** Records that a list has to leave out, named beside it. */
import { messageOf, remedyOf, type Failure } from '@cmt/contracts';
import type { Io } from '../io.ts';
import { oneLine } from './paint.ts';

/** What each is called in the words about it. */
const NAMED = {
  HOST_UNREADABLE: 'host',
  MIGRATION_UNREADABLE: 'migration',
  SCHEDULE_UNREADABLE: 'name',
} as const;

/** Says of each why it is not in the list: on standard error, so that data stays data. */
export const saysUnreadable =
  ({ err, errPaint }: Pick<Io, 'err' | 'errPaint'>, code: keyof typeof NAMED) =>
  (name: string, problem: string): void => {
    const failure: Failure = { code, details: { [NAMED[code]]: name, problem } };
    err(`${errPaint.yellow('warning:')} ${oneLine(`${messageOf(failure)} ${remedyOf(failure)}`)}\n`);
  };
