/** `cmt logs ID`: everything that was told about a migration so far. */
import type { Command } from 'commander';
import { ExitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';

export function addLogs(program: Command): void {
  addVerb(program, {
    usage: 'logs',
    does: 'print what was told about a migration so far, and the end of the log that explains its failure',
    examples: [
      ['cmt logs m-k3j5', 'one line an event'],
      ['cmt logs m-k3j5 --json', 'one JSON event a line'],
    ],
  })
    .argument('<id>', 'a migration')
    .action((id: string, flags: CommonFlags) => runVerb(flags, (io) => printLogs(id, flags, io)));
}

async function printLogs(id: string, flags: CommonFlags, io: Io): Promise<ExitCode> {
  const { withFleet } = await import('../fleet.ts');
  const { eventLine } = await import('../present/events.ts');
  const { printable } = await import('../present/paint.ts');
  return withFleet(flags, async (fleet) => {
    const { failure } = await fleet.status(id);
    for (const event of await fleet.events(id))
      io.out(io.json ? `${JSON.stringify(event)}\n` : eventLine(event, io.outPaint));
    if (failure?.log && !io.json) io.out(`${printable(failure.log).trimEnd()}\n`);
    return ExitCode.done;
  });
}
