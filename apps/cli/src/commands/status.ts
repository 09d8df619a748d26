/** `cmt status [id]`: how migrations stand. */
import type { Command } from 'commander';
import { ExitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';

interface StatusFlags extends CommonFlags {
  readonly limit: string;
}

export function addStatus(program: Command): void {
  addVerb(program, {
    usage: 'status',
    does: 'show how migrations stand: the recent ones, or one in full',
    examples: [
      ['cmt status', 'the 20 newest'],
      ['cmt status m-k3j5', 'one: steps with their times, where the blackout went, failure and remedy'],
      ['cmt status m-k3j5 --json | jq .migration.blackoutMs', 'one figure of it'],
    ],
  })
    .argument('[id]', 'a migration')
    .option('--limit <n>', 'how many of the recent ones', '20')
    .action((id: string | undefined, flags: StatusFlags) =>
      runVerb(flags, (io) => (id === undefined ? listMigrations(flags, io) : showMigration(id, flags, io))),
    );
}

async function listMigrations(flags: StatusFlags, io: Io): Promise<ExitCode> {
  const { invalid } = await import('../flags/invalid.ts');
  const { withFleet } = await import('../fleet.ts');
  const { printJson } = await import('../io.ts');
  const { migrationsText } = await import('../present/fleet.ts');
  const { saysUnreadable } = await import('../present/unreadable.ts');
  if (!/^[1-9]\d{0,4}$/.test(flags.limit))
    throw invalid('--limit', `'${flags.limit}' is not a number from 1 to 99999`);
  const unreadable = saysUnreadable(io, 'MIGRATION_UNREADABLE');
  const migrations = await withFleet(flags, (fleet) => fleet.migrations(Number(flags.limit), unreadable));
  if (io.json) printJson(io, true, { migrations });
  else if (migrations.length > 0) io.out(migrationsText(migrations, Date.now(), io.outPaint));
  else io.err('No migration was asked for yet.\n');
  return ExitCode.done;
}

async function showMigration(id: string, flags: StatusFlags, io: Io): Promise<ExitCode> {
  const { withFleet } = await import('../fleet.ts');
  const { printJson } = await import('../io.ts');
  const { alarmsText, reportText } = await import('../present/report.ts');
  const [migration, alarms] = await withFleet(flags, (fleet) =>
    Promise.all([fleet.status(id), fleet.alarms(id)]),
  );
  if (io.json) printJson(io, true, { migration, alarms });
  else io.out(reportText(migration, io.outPaint) + alarmsText(alarms, io.outPaint));
  return ExitCode.done;
}
