/** The `cmt` program as a user would call it: a process, flags, and JSON on standard output. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MigrationReport } from '@cmt/contracts';
import { tryRun } from '@cmt/host';
import { z } from 'zod';
import { LabError } from '../lab-error.ts';

const Answer = z.object({
  ok: z.boolean(),
  migration: MigrationReport.optional(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});
/** What a verb said, and its exit code; null when it was killed. */
export type Answer = z.infer<typeof Answer> & { readonly code: number | null };

export interface Cmt {
  /** Runs a verb to its end. @throws {LabError} when it says nothing that can be read */
  (args: readonly string[], timeoutMs: number, signal?: AbortSignal): Promise<Answer>;
}

/** @param stateDir of this user's cmt; undefined for the one that `cmt` uses by itself. */
export const cmtOf =
  (stateDir: string | undefined): Cmt =>
  async (args, timeoutMs, signal) => {
    const where = stateDir === undefined ? [] : ['--state-dir', stateDir];
    const argv = [cliFile(), ...args, '--json', ...where];
    // In a session of its own: Ctrl-C is for the demo, which then says what becomes of the rest.
    const finished = await tryRun('setsid', ['--wait', process.execPath, ...argv], {
      timeoutMs,
      ...(signal === undefined ? {} : { signal }),
    });
    signal?.throwIfAborted();
    return { ...parse(args, finished.stdout, finished.stderr), code: finished.code };
  };

function parse(args: readonly string[], stdout: string, stderr: string): z.infer<typeof Answer> {
  const called = `cmt ${args.slice(0, 2).join(' ')}`;
  const last = stdout.trim().split('\n').at(-1) ?? '';
  try {
    return Answer.parse(JSON.parse(last));
  } catch (cause) {
    throw new LabError(`${called} gave no answer: ${stderr.trim().slice(-2000)}`, { cause });
  }
}

/** The program itself: beside this bundle; or, run from source, in the checkout's `dist`. */
export function cliFile(): string {
  const beside = join(import.meta.dirname, 'cli.js');
  return existsSync(beside) ? beside : join(import.meta.dirname, '../../../../dist/cli.js');
}
