/**
 * Source: memory that stays behind, frozen, and is served until the target has all of it.
 *
 * INVARIANT: before the container may run on here, whoever serves is ended: it holds the processes, and they are frozen until then.
 */
import { join } from 'node:path';
import { CmtError, type HostName, type MigrationId, type Subject } from '@cmt/contracts';
import { z } from 'zod';
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import { notesDir } from '../places.ts';
import type { DumpPlan } from '../runtimes/runtime.ts';
import { lowerOf } from '../transports/bandwidth.ts';
import type { PageStream } from '../transports/page-stream.ts';
import type { Link, Rates } from '../transports/transport.ts';
import { dumpAndSend, servingFigures } from './dumping.ts';

interface Way {
  readonly link: Link;
  readonly plan: DumpPlan;
  readonly pages: PageStream;
  readonly peer: HostName;
}

const Server = z.object({ pid: z.int(), startTime: z.string() });

/**
 * Dumps all but private memory, which a process that outlives this one serves from then on.
 * @throws as `dumpAndSend` does
 */
export async function dumpAndServe(
  context: StepContext,
  { link, plan, pages, peer }: Way,
  { runtime, container }: Subject,
): ReturnType<typeof dumpAndSend> {
  const serve = async (signal: AbortSignal): Promise<void> => {
    if (pages.socket.destroyed) throw broken(peer, context);
    const server = await context.runtimes.get(runtime).dumpServing(container, plan, pages.socket, signal);
    await context.machine.files.writeText(pathOf(context), JSON.stringify(server));
    pages.keep();
  };
  return await dumpAndSend(context, link, plan, serve, servingFigures);
}

const broken = (peer: HostName, { config }: StepContext): CmtError =>
  new CmtError('TRANSFER_BROKEN', {
    ...{ host: config.name, peer, bytes: 0 },
    reason: 'the way of pages was closed before they could follow',
  });

/**
 * Writes down what pages may take of the wire, for whoever carries them: a process that outlives this one.
 * @returns the path of the file
 */
export async function noteRate(
  { bandwidth, share }: Pick<Link, 'bandwidth' | 'share'>,
  context: Pick<StepContext, 'config' | 'migration' | 'epoch' | 'machine'>,
): Promise<string> {
  const path = ratePathOf(context);
  await context.machine.files.writeText(path, JSON.stringify(lowerOf(bandwidth, share)));
  return path;
}

type Tuned = Pick<StepContext, 'config' | 'machine' | 'journal' | 'links'>;

/** Changes what a migration may take of the wire, from now on: on its link, and where pages follow a container from here. */
export async function tune(migration: MigrationId, rates: Rates, host: Tuned): Promise<void> {
  host.links.tune(migration, rates);
  const entry = await host.journal.read(migration);
  if (entry === null) return;
  const context = { ...host, migration, epoch: entry.epoch };
  if (!(await host.machine.files.isThere(ratePathOf(context)))) return;
  const { bandwidth = entry.route?.bandwidth ?? null, share = entry.route?.share ?? null } = rates;
  await noteRate(host.links.peek(migration) ?? { bandwidth, share }, context);
}

/** Whether there is something to tune on this host: a link that is open, or a migration that it is the source of. */
export const isTunable = async (migration: MigrationId, { journal, links }: Tuned): Promise<boolean> =>
  links.peek(migration) !== null || (await journal.read(migration))?.side === 'source';

/** Nobody serves this container's memory any more; nobody did is fine. */
export async function endServing({ epoch }: JournalEntry, context: StepContext): Promise<void> {
  const path = pathOf({ ...context, epoch });
  const text = await context.machine.files.readText(path);
  if (text !== null) await context.machine.processes.endOperation(Server.parse(JSON.parse(text)));
}

const pathOf = ({ config, migration, epoch }: Pick<StepContext, 'config' | 'migration' | 'epoch'>): string =>
  join(notesDir(config, migration, epoch), 'page-server.json');
const ratePathOf = ({ config, migration, epoch }: Parameters<typeof pathOf>[0]): string =>
  join(notesDir(config, migration, epoch), 'page-rate.json');
