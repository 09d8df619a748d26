/** `cmt cancel ID`: asks for the end of a migration. */
import type { Command } from 'commander';
import { ExitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';

interface CancelFlags extends CommonFlags {
  readonly reason: string;
  readonly wait?: boolean;
}

export function addCancel(program: Command): void {
  addVerb(program, {
    usage: 'cancel',
    does: 'ask for the end of a migration: the container stays on the source, unless it was released already',
    examples: [
      ['cmt cancel m-k3j5', 'returns at once; `cmt watch m-k3j5` shows the way back'],
      ['cmt cancel m-k3j5 --wait', 'shows the way back; exit code 7 when the container stays'],
      ["cmt cancel m-k3j5 --reason 'maintenance is off'", 'the reason is kept in its report'],
    ],
  })
    .argument('<id>', 'a migration')
    .option('--reason <text>', 'kept in the report', 'asked for by `cmt cancel`')
    .option('--wait', 'wait for the end of the migration, and exit as it does')
    .action((id: string, flags: CancelFlags) => runVerb(flags, (io) => cancel(id, flags, io)));
}

async function cancel(id: string, flags: CancelFlags, io: Io): Promise<ExitCode> {
  const { withFleet } = await import('../fleet.ts');
  const { printJson } = await import('../io.ts');
  const { showToEnd } = await import('../show.ts');
  if (flags.wait === true)
    return withFleet(flags, async (fleet) => {
      await fleet.cancel(id, flags.reason);
      return showToEnd(fleet, id, io);
    });
  await withFleet(flags, (fleet) => fleet.cancel(id, flags.reason));
  if (io.json) printJson(io, true, { id });
  else io.err(`The end of ${id} was asked for; \`cmt watch ${id}\` shows it.\n`);
  return ExitCode.done;
}
