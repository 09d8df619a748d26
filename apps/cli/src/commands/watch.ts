/** `cmt watch ID`: a migration’s events as they come, until its end. */
import type { Command } from 'commander';
import { exitCodeOfReport, type ExitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';

export function addWatch(program: Command): void {
  addVerb(program, {
    usage: 'watch',
    does: 'show a migration while it runs; ends, and exits, as the migration does',
    examples: [
      ['cmt watch m-k3j5', 'live'],
      ['cmt watch m-k3j5 --json', 'one JSON event a line'],
    ],
  })
    .argument('<id>', 'a migration')
    .action((id: string, flags: CommonFlags) => runVerb(flags, (io) => watch(id, flags, io)));
}

async function watch(id: string, flags: CommonFlags, io: Io): Promise<ExitCode> {
  const { withFleet } = await import('../fleet.ts');
  const { liveOn } = await import('../live.ts');
  const { outcomeText } = await import('../present/report.ts');
  const { failureText } = await import('../present/failure.ts');
  const { awaitEnd } = await import('../wait.ts');
  return withFleet(flags, async (fleet) => {
    await fleet.status(id);
    const live = io.json
      ? { show: (event: object) => io.out(`${JSON.stringify(event)}\n`), end: () => undefined }
      : liveOn(io);
    const ended = await awaitEnd(fleet, id, io, live).finally(live.end);
    if (!io.json) {
      if (ended.failure) io.err(failureText(ended.failure, io.errPaint));
      io.out(outcomeText(ended, io.outPaint));
    }
    return exitCodeOfReport(ended);
  });
}
