/**
 * Source: what a migration may take of the wire, changed while it is under way.
 *
 * INVARIANT: a rate is noted before pages can follow, and whoever changes it later finds the note, or is seen by who is noting.
 */
import { join } from 'node:path';
import type { MigrationId } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import { notesDir } from '../places.ts';
import { lowerOf } from '../transports/bandwidth.ts';
import type { Link, Rates } from '../transports/transport.ts';

type Limits = Pick<Link, 'bandwidth' | 'share'>;

/**
 * Writes down what pages may take, for whoever carries them: a process that outlives this one.
 * @param limits looked at again once it is written
 * @returns the path of the file
 */
export async function noteRate(
  limits: Limits,
  context: Pick<StepContext, 'config' | 'migration' | 'epoch' | 'machine'>,
): Promise<string> {
  const path = pathOf(context);
  const rateNow = (): number | null => lowerOf(limits.bandwidth, limits.share);
  for (let noted: number | null | undefined; noted !== rateNow();) {
    noted = rateNow();
    await context.machine.files.writeText(path, JSON.stringify(noted));
  }
  return path;
}

type Tuned = Pick<StepContext, 'config' | 'machine' | 'journal' | 'links'>;

/** Changes what a migration may take of the wire, from now on: on its link, and where pages follow a container from here. */
export async function tune(migration: MigrationId, rates: Rates, host: Tuned): Promise<void> {
  host.links.tune(migration, rates);
  const entry = await host.journal.read(migration);
  if (entry === null) return;
  const context = { ...host, migration, epoch: entry.epoch };
  if (!(await host.machine.files.isThere(pathOf(context)))) return;
  const { bandwidth = entry.route?.bandwidth ?? null, share = entry.route?.share ?? null } = rates;
  await noteRate(host.links.peek(migration) ?? { bandwidth, share }, context);
}

/** Which migrations there is something to tune of on this host: those with an open link, and those that it is the source of. */
export const tunable = ({ journal, links }: Pick<Tuned, 'journal' | 'links'>) => ({
  has: async (migration: MigrationId): Promise<boolean> =>
    links.peek(migration) !== null || (await journal.read(migration))?.side === 'source',
  underWay: async (): Promise<MigrationId[]> =>
    (await journal.open()).filter(({ side }) => side === 'source').map(({ migration }) => migration),
});

const pathOf = ({ config, migration, epoch }: Pick<StepContext, 'config' | 'migration' | 'epoch'>): string =>
  join(notesDir(config, migration, epoch), 'page-rate.json');
