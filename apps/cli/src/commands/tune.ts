/** `cmt tune ID`: changes what a migration under way may take, or aims for. */
import type { Tuning } from '@cmt/contracts';
import type { Command } from 'commander';
import { ExitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';

interface TuneFlags extends CommonFlags {
  readonly bandwidth?: string;
  readonly maxDowntime?: string;
}

export function addTune(program: Command): void {
  addVerb(program, {
    usage: 'tune',
    does: 'change how fast a migration under way may send, or the blackout it aims for',
    examples: [
      ['cmt tune m-k3j5 --bandwidth 50MiB/s', 'what is under way obeys at once'],
      ['cmt tune m-k3j5 --bandwidth none', 'as fast as it goes'],
      ['cmt tune m-k3j5 --max-downtime 1s', 'pre-copy ends with the round after which that is reached'],
    ],
  })
    .argument('<id>', 'a migration')
    .option('--bandwidth <rate>', 'what images, files and pages may take, as 50MiB/s or 1Gbit/s; or `none`')
    .option('--max-downtime <time>', 'blackout that pre-copy aims for')
    .action((id: string, flags: TuneFlags) => runVerb(flags, (io) => tune(id, flags, io)));
}

async function tune(id: string, flags: TuneFlags, io: Io): Promise<ExitCode> {
  const tuning = await parseTuning(flags);
  const { withFleet } = await import('../fleet.ts');
  const { printJson } = await import('../io.ts');
  await withFleet(flags, (fleet) => fleet.tune(id, tuning));
  if (io.json) printJson(io, true, { id, ...tuning });
  else io.err(`${id} was tuned.\n`);
  return ExitCode.done;
}

/** @throws {CmtError} REQUEST_INVALID */
async function parseTuning({ bandwidth, maxDowntime }: TuneFlags): Promise<Tuning> {
  const { Tuning: Schema } = await import('@cmt/contracts');
  const { parseBandwidth } = await import('../flags/bandwidth.ts');
  const { parseDuration } = await import('../flags/duration.ts');
  const { invalid } = await import('../flags/invalid.ts');
  if (bandwidth === undefined && maxDowntime === undefined)
    throw invalid('tune', 'name --bandwidth, --max-downtime or both');
  const result = Schema.safeParse({
    ...(bandwidth === undefined
      ? {}
      : { bandwidth: bandwidth === 'none' ? null : parseBandwidth('--bandwidth', bandwidth) }),
    ...(maxDowntime === undefined ? {} : { maxDowntimeMs: parseDuration('--max-downtime', maxDowntime) }),
  });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw invalid(
    issue?.path[0] === 'bandwidth' ? '--bandwidth' : '--max-downtime',
    issue?.message ?? 'it is wrong',
  );
}
