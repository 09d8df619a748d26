/** `cmt rebalance --dry-run`: moves that would even out the fleet. */
import type { Command } from 'commander';
import { ExitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';

interface RebalanceFlags extends CommonFlags {
  readonly dryRun?: boolean;
}

export function addRebalance(program: Command): void {
  addVerb(program, {
    usage: 'rebalance',
    does: 'propose moves that would even out the memory in use; moves nothing',
    examples: [
      ['cmt rebalance --dry-run', 'a table, in the order in which to do them'],
      [
        `cmt rebalance --dry-run --json | jq -r '.proposals[] | "cmt migrate \\(.container) --src \\(.from) --dst \\(.to)"'`,
        'as commands',
      ],
    ],
  })
    .option('--dry-run', 'only propose; needed, for there is nothing else that it does')
    .action((flags: RebalanceFlags) => runVerb(flags, (io) => propose(flags, io)));
}

async function propose(flags: RebalanceFlags, io: Io): Promise<ExitCode> {
  const { invalid } = await import('../flags/invalid.ts');
  const { withFleet } = await import('../fleet.ts');
  const { printJson } = await import('../io.ts');
  const { rebalance } = await import('@cmt/fleet');
  const { proposalsText } = await import('../present/targets.ts');
  if (flags.dryRun !== true)
    throw invalid('--dry-run', 'rebalance only proposes; add it, and migrate what you agree with');
  const proposals = rebalance(await withFleet(flags, (fleet) => fleet.candidates()));
  if (io.json) printJson(io, true, { proposals });
  else if (proposals.length > 0) io.out(proposalsText(proposals, io.outPaint));
  else io.err('No move would even out the fleet by more than a tenth of a host’s memory.\n');
  return ExitCode.done;
}
