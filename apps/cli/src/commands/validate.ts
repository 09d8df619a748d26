/** `cmt validate`: can this container move to that host? Changes nothing. */
import type { Command } from 'commander';
import type { ExitCode } from '../exit-codes.ts';
import { exitCodeOfReport } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import type { RequestFlags } from '../request.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';
import { withEnds, withMeans } from './request-flags.ts';

type ValidateFlags = RequestFlags & CommonFlags;

export function addValidate(program: Command): void {
  const command = addVerb(program, {
    usage: 'validate',
    does: 'say whether a container can move to a host, and what speaks against it; changes nothing',
    examples: [
      ['cmt validate redis --src host1 --dst host2', 'a table of findings; exit code 3 when it refuses'],
      ['cmt validate redis --src host1 --dst host2 --force', 'soft findings count as warnings'],
      ['cmt validate --src host1:/srv/redis --dst host2 --json', 'for programs'],
    ],
  });
  withMeans(withEnds(command)).action((container: string | undefined, flags: ValidateFlags) =>
    runVerb(flags, (io) => validate(container, flags, io)),
  );
}

async function validate(container: string | undefined, flags: ValidateFlags, io: Io): Promise<ExitCode> {
  const { located, submit, typed } = await import('./ask.ts');
  const parsed = typed(container, flags, true);
  const { withFleet } = await import('../fleet.ts');
  const { awaitEnd } = await import('../wait.ts');
  const { printJson } = await import('../io.ts');
  const { errorObject, failureText } = await import('../present/failure.ts');
  const { verdictText } = await import('../present/findings.ts');
  return withFleet(flags, async (fleet) => {
    const { report } = await submit(fleet, await located(fleet, parsed));
    const ended = await awaitEnd(fleet, report.id, io, { show: () => undefined });
    const { failure, findings } = ended;
    if (io.json) {
      const error = failure ? { error: errorObject(failure) } : {};
      printJson(io, ended.state === 'validated', { findings, migration: ended, ...error });
    } else {
      io.out(verdictText(ended, io.outPaint));
      if (failure) io.err(failureText(failure, io.errPaint));
    }
    return exitCodeOfReport(ended);
  });
}
