/**
 * Which migration has a container of this host.
 *
 * INVARIANT: between the look whether a container is free and the entry that takes it nobody else looks: of two
 * migrations that come at the same moment one is refused.
 */
import { CmtError, type ContainerId, type Subject } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import { perHost } from './per-host.ts';

interface Claimant extends Pick<StepContext, 'journal' | 'migration'> {
  readonly config: Pick<StepContext['config'], 'name'>;
}

/** Those who look and write, one after the other, of each container of each host. */
const linesOf = perHost(() => new Map<ContainerId, Promise<unknown>>());

/** @throws CmtError CONTAINER_BUSY when another migration is open on the container. */
export async function requireFree(
  { journal, migration, config }: Claimant,
  { container }: Pick<Subject, 'container'>,
): Promise<void> {
  const other = await journal.busyWith(container);
  if (other === null || other === migration) return;
  throw new CmtError('CONTAINER_BUSY', { container, host: config.name, other });
}

/** Takes a free container: `take` writes the entry that says so. @throws CmtError CONTAINER_BUSY, and whatever `take` throws */
export async function claimContainer(
  claimant: Claimant,
  subject: Pick<Subject, 'container'>,
  take: () => Promise<JournalEntry>,
): Promise<JournalEntry> {
  const ofHost = linesOf(claimant.journal);
  const before = ofHost.get(subject.container) ?? Promise.resolve();
  const taken = before.then(async () => {
    await requireFree(claimant, subject);
    return await take();
  });
  const over = taken.then(
    () => undefined,
    () => undefined,
  );
  ofHost.set(subject.container, over);
  try {
    return await taken;
  } finally {
    if (ofHost.get(subject.container) === over) ofHost.delete(subject.container);
  }
}
