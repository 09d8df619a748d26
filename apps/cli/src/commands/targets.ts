/** `cmt targets CONTAINER`: every host, and whether the container could go there. */
import type { Command } from 'commander';
import { exitCodeOfFailure, ExitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';
import { collect } from './services.ts';

interface TargetsFlags extends CommonFlags {
  readonly src?: string;
  readonly label?: string[];
  readonly force?: boolean;
}

export function addTargets(program: Command): void {
  addVerb(program, {
    usage: 'targets',
    does: 'list every host with a verdict: could it take this container, how well, and what speaks against it',
    examples: [
      ['cmt targets redis', 'the best first; exit code 3 when no host fits'],
      ['cmt targets redis --src host1 --label zone=b', 'of host1, and only to zone b'],
      ["cmt targets redis --json | jq -r '.targets[] | select(.fits) | .host'", 'those that fit'],
    ],
  })
    .argument('<container>', 'id of a container that a host announces (`cmt ps`)')
    .option('--src <host>', 'where it runs; needed when more than one host has a container of that id')
    .option('--label <name=value>', 'a label that the target must have; repeatable', collect)
    .option('--force', 'soft reasons count as warnings')
    .action((container: string, flags: TargetsFlags) =>
      runVerb(flags, (io) => listTargets(container, flags, io)),
    );
}

async function listTargets(container: string, flags: TargetsFlags, io: Io): Promise<ExitCode> {
  const { withFleet } = await import('../fleet.ts');
  const { printJson } = await import('../io.ts');
  const { parseLabels } = await import('../flags/place.ts');
  const { judgeTargets } = await import('../targets.ts');
  const { targetsText } = await import('../present/targets.ts');
  const { saysUnreadable } = await import('../present/unreadable.ts');
  const { errorObject, failureText } = await import('../present/failure.ts');
  const labels = parseLabels('--label', flags.label ?? []);
  const { force = false, src } = flags;
  const facts = await withFleet(flags, (fleet) => fleet.facts(saysUnreadable(io, 'HOST_UNREADABLE')));
  const { source, verdicts, failure } = judgeTargets(facts, { container, src, labels, force });
  const error = failure ? { error: errorObject(failure) } : {};
  if (io.json) printJson(io, failure === null, { container, source, targets: verdicts, ...error });
  else {
    io.out(targetsText(verdicts, io.outPaint));
    if (failure) io.err(failureText(failure, io.errPaint));
  }
  return failure === null ? ExitCode.done : exitCodeOfFailure(failure.code);
}
