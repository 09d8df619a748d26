/** `cmt ps`: the containers of all hosts. */
import type { Command } from 'commander';
import { ExitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';

export function addPs(program: Command): void {
  addVerb(program, {
    usage: 'ps',
    does: 'list the containers of all hosts, and the migration each is in',
    examples: [
      ['cmt ps', 'every container that a worker has announced'],
      ["cmt ps --json | jq -r '.containers[].id'", 'their ids'],
    ],
  }).action((flags: CommonFlags) => runVerb(flags, (io) => showContainers(flags, io)));
}

async function showContainers(flags: CommonFlags, io: Io): Promise<ExitCode> {
  const { listContainers } = await import('../list-containers.ts');
  const { printJson } = await import('../io.ts');
  const { containersText } = await import('../present/containers.ts');
  const { saysUnreadable } = await import('../present/unreadable.ts');
  const containers = await listContainers(flags, saysUnreadable(io, 'HOST_UNREADABLE'));
  if (io.json) printJson(io, true, { containers });
  else if (containers.length > 0) io.out(containersText(containers, io.outPaint));
  else io.err('No host has announced a container.\n');
  return ExitCode.done;
}
