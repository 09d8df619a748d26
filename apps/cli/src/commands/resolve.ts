/** `cmt resolve ID --fenced HOST`: an operator's word for a migration that nobody could decide. */
import type { Command } from 'commander';
import { exitCodeOfReport, type ExitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import type { Standstill } from '../present/standstill.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';

interface ResolveFlags extends CommonFlags {
  readonly fenced: string;
  readonly confirm?: string;
  readonly evenThoughOnline?: boolean;
}

export function addResolve(program: Command): void {
  addVerb(program, {
    usage: 'resolve',
    does: 'end a migration that nobody could decide, by your word that one of its hosts is powered off or cut off',
    examples: [
      [
        'cmt resolve m-k3j5 --fenced host2',
        'says what is known, what it would do and what can go wrong; asks on a terminal',
      ],
      ['cmt resolve m-k3j5 --fenced host2 --confirm host2', 'does it: the other host goes on alone'],
    ],
  })
    .argument('<id>', 'a migration that ended as needs-operator')
    .requiredOption('--fenced <host>', 'source or target of the migration: its copy will never run again')
    .option('--confirm <host>', 'the same host once more, instead of typing it when asked')
    .option('--even-though-online', 'the fenced host announces itself, and is fenced all the same')
    .action((id: string, flags: ResolveFlags) => runVerb(flags, (io) => resolve(id, flags, io)));
}

async function resolve(id: string, flags: ResolveFlags, io: Io): Promise<ExitCode> {
  const { withFleet } = await import('../fleet.ts');
  return withFleet(flags, async (fleet) => {
    const still = await fleet.standstill(id, flags.fenced);
    await requireWord(still, flags, io);
    const { liveOn } = await import('../live.ts');
    const { awaitObeyed } = await import('../wait.ts');
    const { printEnd } = await import('../present/end.ts');
    const since = await fleet.resolve(still);
    const { show, end } = liveOn(io);
    const ended = await awaitObeyed(fleet, still, io, { show, since }).finally(end);
    printEnd(ended, io);
    return exitCodeOfReport(ended);
  });
}

/** @throws {CmtError} FENCED_ONLINE, FENCE_UNCONFIRMED, REQUEST_INVALID unless it was said in so many words */
async function requireWord(still: Standstill, flags: ResolveFlags, io: Io): Promise<void> {
  const { CmtError } = await import('@cmt/contracts');
  const { invalid } = await import('../flags/invalid.ts');
  const { isOnline, standstillText } = await import('../present/standstill.ts');
  const { time } = await import('../present/units.ts');
  const host = flags.fenced;
  if (flags.confirm !== undefined && flags.confirm !== host)
    throw invalid('--confirm', `'${flags.confirm}' is not ${host}, which --fenced names`);
  io.err(standstillText(still, Date.now(), io.errPaint));
  const online = isOnline(still);
  if (online !== null && flags.evenThoughOnline !== true)
    throw new CmtError('FENCED_ONLINE', { host, age: time(online.ageMs) });
  if (flags.confirm === host || (await isTyped(host, io))) return;
  throw new CmtError('FENCE_UNCONFIRMED', { host, migration: still.report.id });
}

/** Asks for the host's name where somebody can type it. */
async function isTyped(host: string, io: Io): Promise<boolean> {
  if (io.json || !process.stdin.isTTY || !process.stderr.isTTY) return false;
  const { createInterface } = await import('node:readline/promises');
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  const given = new AbortController();
  asking.once('close', () => given.abort());
  try {
    return (await asking.question(`\nType ${host} to go on: `, { signal: given.signal })).trim() === host;
  } catch {
    return false;
  } finally {
    asking.close();
  }
}
