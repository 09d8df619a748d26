/**
 * Step `retire`: the frozen source copy dies, cut off from the network, now that the target's copy has been confirmed.
 *
 * INVARIANT: nothing is destroyed here without COMMIT of this very epoch on record, or RETIRED in the journal, which says the same.
 */
import { CmtError, imageBytesOf } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import { noteCosts } from '../costs.ts';
import type { JournalEntry } from '../journal.ts';
import { readDecision } from './deciding.ts';
import { record, requireEntry } from './entry.ts';
import { recall } from './outcomes.ts';
import type { Step } from './step.ts';

export const retire: Step<'retire'> = async ({ subject, network }, context) => {
  const entry = await requireEntry('retire', context, ['FROZEN', 'RETIRED']);
  if (entry.closed) return {};
  await requireCommit(entry, context);
  if (entry.phase === 'FROZEN') await noteDump(context);
  await record('retire', context, { ...entry, phase: 'RETIRED', network });

  const runtime = context.runtimes.get(subject.runtime);
  if ((await runtime.state(subject.container, context.signal)) !== null) {
    await context.network.fence(network, context.signal);
    await runtime.destroy(subject.container, context.signal);
  }
  await context.network.remove(network, context.signal);
  await context.machine.bundles.remember(context.config, entry.bundle, entry.container);
  return {};
};

async function noteDump(context: StepContext): Promise<void> {
  const [dump, files] = [await recall(context, 'freeze-and-dump'), await recall(context, 'final-sync')];
  if (dump === null) return;
  const { sendMs, ms = Math.max(dump.dumpMs, sendMs) } = dump.figures;
  const bytes = imageBytesOf(dump.figures);
  await noteCosts(context, {
    dump: { bytes, ms: dump.pauseMs + ms },
    ...(files && { files }),
    ...(dump.readyMs === undefined ? {} : { readying: { bytes: 0, ms: dump.readyMs } }),
  });
}

async function requireCommit(entry: JournalEntry, context: StepContext): Promise<void> {
  if (entry.phase === 'RETIRED') return;
  const decision = await readDecision(context, entry.epoch);
  if (decision !== 'COMMIT')
    throw new CmtError('UNDECIDED', { host: entry.peer, container: entry.container });
}
