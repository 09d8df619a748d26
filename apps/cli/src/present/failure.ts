/** Failures: `error CODE: sentence`, what to do, and the same for programs. */
import { messageOf, remedyOf, type Failure } from '@cmt/contracts';
import { printable, oneLine, type Paint } from './paint.ts';

/** For standard error. */
export function failureText(failure: Failure, paint: Paint): string {
  const log = failure.log ? logLines(failure.log, paint) : '';
  return `${paint.red(`error ${failure.code}:`)} ${sentence(failure)}\n  ${remedy(failure)}\n${log}`;
}

/** The last lines of a tool's own log. */
const logLines = (log: string, paint: Paint): string =>
  printable(log)
    .trimEnd()
    .split('\n')
    .slice(-8)
    .map((line) => `  ${paint.dim(`| ${line}`)}\n`)
    .join('');

const sentence = (failure: Failure): string => oneLine(messageOf(failure));
const remedy = (failure: Failure): string => oneLine(remedyOf(failure));

/** For `--json`. `host` is there when the failure happened on, or is about, one host. */
export interface ErrorObject {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
  readonly host?: string;
  readonly log?: string;
}

export function errorObject(failure: Failure): ErrorObject {
  const { host } = failure.details;
  return {
    ...{ code: failure.code, message: messageOf(failure), remedy: remedyOf(failure) },
    ...(host === undefined ? {} : { host: String(host) }),
    ...(failure.log === undefined ? {} : { log: failure.log }),
  };
}
