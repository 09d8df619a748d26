/** `cmt drain [HOST]`: moves everything away from a host, and keeps new containers away. */
import { Option, type Command } from 'commander';
import type { DrainReport } from '@cmt/contracts';
import { ExitCode } from '../exit-codes.ts';
import type { OrderFlags } from '../fleet-order.ts';
import type { Io } from '../io.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';
import { collect } from './services.ts';

interface DrainFlags extends OrderFlags, CommonFlags {
  readonly wait?: boolean;
}

/** Flags that a drain and its way back share. */
export const withOrder = (command: Command): Command =>
  command
    .option('--parallel <n>', 'containers at the same time, within the limits of the hosts', '2')
    .option(
      '--deadline <time>',
      'after this none is begun any more; those under way are brought to their end',
    )
    .addOption(
      new Option('--priority <level>', 'who goes first where limits are reached (default: normal)').choices([
        ...['high', 'normal', 'low'],
      ]),
    )
    .option('--force', 'soft findings become warnings')
    .option('--wait', 'wait until it is over, and show it');

export function addDrain(program: Command): void {
  const command = addVerb(program, {
    usage: 'drain',
    does: 'move every container away from a host, largest first, and let no new one go there; without a host: show drains',
    examples: [
      ['cmt drain host1', 'returns at once; coordinators see to it, also across restarts'],
      ['cmt drain host1 --parallel 4 --deadline 30m --wait', 'exit code 4 when something could not leave'],
      ['cmt drain host1 --label zone=b', 'only to hosts with that label'],
      ['cmt drain', 'how all drains stand, and why what could not leave stays'],
    ],
  });
  withDrainFlags(command).action((host: string | undefined, flags: DrainFlags) =>
    runVerb(flags, (io) => (host === undefined ? listDrains(flags, io) : drain(host, flags, io))),
  );
}

/** Everything that says what is to be drained and how; a schedule takes these too. */
export const withDrainFlags = (command: Command): Command =>
  withOrder(command.argument('[host]', 'a registered name')).option(
    '--label <name=value>',
    'a label that every target must have; repeatable',
    collect,
  );

async function listDrains(flags: CommonFlags, io: Io): Promise<ExitCode> {
  const { withFleet } = await import('../fleet.ts');
  const { printJson } = await import('../io.ts');
  const { drainText } = await import('../present/drains.ts');
  const reports = await withFleet(flags, (fleet) => fleet.drains());
  const sorted = [...reports].sort((a, b) => a.host.localeCompare(b.host));
  if (io.json) printJson(io, true, { drains: sorted });
  else if (sorted.length > 0) io.out(sorted.map((report) => drainText(report, io.outPaint)).join('\n'));
  else io.err('No host was ever drained.\n');
  return ExitCode.done;
}

async function drain(typed: string, flags: DrainFlags, io: Io): Promise<ExitCode> {
  const { CmtError } = await import('@cmt/contracts');
  const { parseOrder } = await import('../fleet-order.ts');
  const { withFleet } = await import('../fleet.ts');
  const { refuseUnknownLabels, registeredName } = await import('../request.ts');
  const parsed = parseOrder(flags);
  return withFleet(flags, async (fleet) => {
    const records = (await fleet.hosts()).map(({ record }) => record);
    const host = registeredName(typed, records);
    refuseUnknownLabels(parsed, records);
    const report = await fleet.order({ ...parsed, kind: 'drain', host, moves: [] });
    if (report.kind !== 'drain') throw new CmtError('DRAIN_UNDER_WAY', { host, id: report.id });
    if (flags.wait !== true) return told(report, io);
    const { awaitOrder } = await import('../wait-order.ts');
    return awaitOrder(fleet, report, io);
  });
}

/** What was asked for, to somebody who does not wait. */
export async function told(report: DrainReport, io: Io): Promise<ExitCode> {
  const { printJson } = await import('../io.ts');
  const { host, id, kind } = report;
  if (io.json) printJson(io, true, { drain: report });
  else
    io.err(
      kind === 'drain'
        ? `${host} takes no new container and is being emptied (${id}); \`cmt drain ${host} --wait\` watches it\n`
        : `what left ${host} is being brought back (${id}); \`cmt drain\` shows it\n`,
    );
  return ExitCode.done;
}
