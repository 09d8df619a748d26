/** The one way from anything thrown to what the user reads and the script gets. */
import { Failure } from '@cmt/contracts';
import type { ExitCode } from './exit-codes.ts';
import { exitCodeOfFailure } from './exit-codes.ts';
import { printJson, type Io } from './io.ts';
import { errorObject, failureText } from './present/failure.ts';

/** Prints the error and returns the exit code for it. */
export function presentError(error: unknown, io: Io): ExitCode {
  const failure = failureOf(error);
  presentFailure(failure, io);
  if (failure.code === 'INTERNAL' && error instanceof Error && error.stack) io.err(`${error.stack}\n`);
  return exitCodeOfFailure(failure.code);
}

export function presentFailure(failure: Failure, io: Io): void {
  if (io.json) printJson(io, false, { error: errorObject(failure) });
  else io.err(failureText(failure, io.errPaint));
}

/** By shape and name, not by class: the apps are bundles of their own, each with its own copy of the classes. */
function failureOf(error: unknown): Failure {
  const carried = Failure.safeParse((error as { failure?: unknown } | null)?.failure);
  if (carried.success) return carried.data;
  const reason = error instanceof Error ? error.message : String(error);
  if (error instanceof Error && error.name === 'LabError') return { code: 'LAB_FAILED', details: { reason } };
  return { code: 'INTERNAL', details: { host: 'this machine', step: 'the command line', reason } };
}
