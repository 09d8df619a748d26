/** `cmt undrain HOST`: lets a host take containers again, and brings back what left it. */
import type { Command } from 'commander';
import { ExitCode } from '../exit-codes.ts';
import type { Fleet } from '../fleet.ts';
import type { OrderFlags } from '../fleet-order.ts';
import type { Io } from '../io.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';
import { told, withOrder } from './drain.ts';

interface UndrainFlags extends OrderFlags, CommonFlags {
  readonly bringBack?: boolean;
  readonly wait?: boolean;
}

export function addUndrain(program: Command): void {
  const command = addVerb(program, {
    usage: 'undrain',
    does: 'let a drained host take containers again; a drain under way begins no further move',
    examples: [
      ['cmt undrain host1', 'open again; nothing moves'],
      ['cmt undrain host1 --bring-back --wait', 'and what its drain has moved away returns'],
    ],
  }).argument('<host>', 'a registered name');
  withOrder(command)
    .option('--bring-back', 'move back what left the host, from where it went')
    .action((host: string, flags: UndrainFlags) => runVerb(flags, (io) => undrain(host, flags, io)));
}

async function undrain(typed: string, flags: UndrainFlags, io: Io): Promise<ExitCode> {
  const { parseOrder } = await import('../fleet-order.ts');
  const { withFleet } = await import('../fleet.ts');
  const { printJson } = await import('../io.ts');
  const { registeredName } = await import('../request.ts');
  const parsed = parseOrder(flags);
  return withFleet(flags, async (fleet) => {
    const records = (await fleet.hosts()).map(({ record }) => record);
    const host = registeredName(typed, records);
    await open(fleet, host, flags.bringBack === true);
    const moves = flags.bringBack === true ? await leftBehind(fleet, host, io) : [];
    if (moves.length === 0) {
      if (io.json) printJson(io, true, { host, moves: [] });
      else io.err(`${host} takes containers again\n`);
      return ExitCode.done;
    }
    const report = await fleet.order({ ...parsed, kind: 'bring-back', host, moves });
    if (flags.wait !== true) return told(report, io);
    const { awaitOrder } = await import('../wait-order.ts');
    return awaitOrder(fleet, report, io);
  });
}

/** A host that was opened before still gets back what left it. @throws {CmtError} NOT_DRAINED */
async function open(fleet: Fleet, host: string, bringBack: boolean): Promise<void> {
  const { CmtError } = await import('@cmt/contracts');
  try {
    await fleet.openHost(host);
  } catch (error) {
    const known = error instanceof CmtError && error.failure.code === 'NOT_DRAINED';
    if (!known || !bringBack || (await fleet.drainOf(host)) === null) throw error;
  }
}

/** What the drain has moved away, once it moves nothing any more. */
async function leftBehind(fleet: Fleet, host: string, io: Io) {
  const { CmtError } = await import('@cmt/contracts');
  const { untilOver } = await import('../wait-order.ts');
  const before = await fleet.drainOf(host);
  if (before === null) throw new CmtError('NOT_DRAINED', { host });
  const { kind, moves } = await untilOver(fleet, before, io);
  if (kind !== 'drain') return [];
  return moves.flatMap(({ container, runtime, to, state }) =>
    state === 'left' && to !== null ? [{ container, runtime, from: to }] : [],
  );
}
