/**
 * Source: memory that stays behind, frozen, and is served until the target has all of it.
 *
 * INVARIANT: before the container may run on here, whoever serves is ended: it holds the processes, and they are frozen until then.
 */
import { join } from 'node:path';
import { CmtError, type HostName, type Subject } from '@cmt/contracts';
import { z } from 'zod';
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import { notesDir } from '../places.ts';
import type { DumpPlan } from '../runtimes/runtime.ts';
import type { PageStream } from '../transports/page-stream.ts';
import type { Link } from '../transports/transport.ts';
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

/** Nobody serves this container's memory any more; nobody did is fine. */
export async function endServing({ epoch }: JournalEntry, context: StepContext): Promise<void> {
  const path = pathOf({ ...context, epoch });
  const text = await context.machine.files.readText(path);
  if (text !== null) await context.machine.processes.endOperation(Server.parse(JSON.parse(text)));
}

const pathOf = ({ config, migration, epoch }: Pick<StepContext, 'config' | 'migration' | 'epoch'>): string =>
  join(notesDir(config, migration, epoch), 'page-server.json');
