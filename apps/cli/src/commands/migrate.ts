/** `cmt migrate`: asks for a migration and shows it until its end. */
import { Option, type Command } from 'commander';
import type { MigrationReport } from '@cmt/contracts';
import { ExitCode, exitCodeOfReport } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import type { RequestFlags } from '../request.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';
import { withEnds, withHooks, withMeans } from './request-flags.ts';

/** Said before it begins: from the switch on it can no longer be taken back. */
const POST_COPY_RISK =
  'post-copy: from the switch until its last page has come the container needs both hosts and the link between them.\n' +
  'If one fails meanwhile it is killed, stands frozen at the source as it was at the switch, and waits for `cmt resolve`.\n';

interface MigrateFlags extends RequestFlags, CommonFlags {
  readonly detach?: boolean;
}

export function addMigrate(program: Command): void {
  const command = addVerb(program, {
    usage: 'migrate',
    does: 'move a running container to another host and wait until it runs there',
    examples: [
      ['cmt migrate redis --src host1 --dst host2', 'the container called redis'],
      [
        'cmt migrate --src me@10.0.0.1:/srv/redis --dst me@10.0.0.2',
        'nothing is set up: by ssh, with your keys',
      ],
      ['cmt migrate redis --dst auto', 'from wherever it is to the host that fits best; says why'],
      ['cmt migrate redis --src host1 --dst zone=b,disk=ssd', 'to the best one with these labels'],
      [
        'cmt migrate redis --src host1 --dst host2 --max-downtime 100ms --mode pre-copy',
        'with a tight budget',
      ],
      [
        'cmt migrate redis --src host1 --dst host2 --mode post-copy',
        'the same short blackout for any size; see what it risks',
      ],
      [
        'cmt migrate redis --src host1 --dst host2 --on-no-convergence post-copy',
        'with that risk only where the budget cannot be met without',
      ],
      [
        'cmt migrate redis --src host1 --dst host2 --max-downtime 100ms --on-no-convergence abort',
        'not at all rather than with a longer blackout',
      ],
      [
        "cmt migrate redis --src host1 --dst host2 --hook-pre-restore '@target /opt/check --quick'",
        'with a hook',
      ],
      [
        'cmt migrate redis --src host1 --dst host2 --compress zstd --bandwidth 100Mbit/s',
        'over a slow link, of which others need the rest',
      ],
      ['cmt migrate redis --src host1 --dst host2 --id nightly-7 --detach', 'do not wait; safe to repeat'],
    ],
  });
  withMigrateFlags(command)
    .addOption(new Option('--detach', 'print the id and return at once').conflicts('wait'))
    .option('--wait', 'show it until its end, and exit as it does: the default')
    .action((container: string | undefined, flags: MigrateFlags) =>
      runVerb(flags, (io) => migrate(container, flags, io)),
    );
}

/** Everything that says what is to be moved and how; a schedule takes these too. */
export const withMigrateFlags = (command: Command): Command =>
  withHooks(
    withMeans(withEnds(command))
      .option('--max-downtime <time>', 'blackout that pre-copy aims for (default: 300ms)')
      .option('--bandwidth <rate>', 'what images and files may take, as 50MiB/s or 1Gbit/s (default: all)')
      .option('--max-rounds <n>', 'upper bound of pre-dump rounds, 0 to 32 (default: 8)')
      .option('--timeout <time>', 'longest that all rounds together may take (default: no limit)')
      .addOption(
        new Option(
          '--on-no-convergence <policy>',
          'when rounds cannot bring the blackout below --max-downtime: freeze all the same, go on with post-copy, or leave it running (default: switch)',
        ).choices(['switch', 'post-copy', 'abort']),
      )
      .option(
        '--confirm-for <time>',
        'how long the moved container must live before the source copy goes (default: 1s)',
      )
      .option(
        '--step-timeout <time>',
        'longest that any step before the decision may take (default: by the size of the container)',
      )
      .addOption(
        new Option('--priority <level>', 'who goes first where limits are reached (default: normal)').choices(
          [...['high', 'normal', 'low']],
        ),
      ),
  );

async function migrate(container: string | undefined, flags: MigrateFlags, io: Io): Promise<ExitCode> {
  const { located, submit, typed } = await import('./ask.ts');
  const parsed = typed(container, flags, false);
  const { allowsPostCopy } = await import('@cmt/contracts');
  const { withFleet } = await import('../fleet.ts');
  return withFleet(flags, async (fleet) => {
    const asked = await located(fleet, parsed);
    const { report, isNew } = await submit(fleet, asked);
    if (flags.detach) return printId(report, io);
    if (allowsPostCopy(report.request.options)) io.err(POST_COPY_RISK);
    io.err(isNew ? `migration ${report.id}\n` : `migration ${report.id} is known already\n`);
    const { liveOn } = await import('../live.ts');
    const { awaitEnd } = await import('../wait.ts');
    const { printEnd } = await import('../present/end.ts');
    const live = liveOn(io);
    const askAgain = () => submit(fleet, asked);
    const ended = await awaitEnd(fleet, report.id, io, { show: live.show, askAgain }).finally(live.end);
    printEnd(ended, io);
    return exitCodeOfReport(ended);
  });
}

async function printId(report: MigrationReport, io: Io): Promise<ExitCode> {
  const { printJson } = await import('../io.ts');
  if (io.json) printJson(io, true, { migration: report });
  else io.out(`${report.id}\n`);
  return ExitCode.done;
}
