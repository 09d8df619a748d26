/**
 * Step `prepare`: the target reserves name, address, space and directories, builds the network unattached, and opens its receiver.
 *
 * INVARIANTS
 * - PREPARED is journalled before anything is made, and the network before it is built: `discard` finds just what was made.
 * - Asked again in the same epoch it arms the receiver again (after a restart of the worker) and keeps what has arrived.
 */
import { CmtError, imagesNeed, type StepInput } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import { imagesDir } from '../places.ts';
import { claimContainer } from './claims.ts';
import { newEntry, readEntry, record, stale } from './entry.ts';
import { makeImagesRoom } from './images-room.ts';
import { requireSpace } from './space.ts';
import { undoTarget } from './undo-target.ts';
import type { Step } from './step.ts';

type Input = StepInput<'prepare'>;

/** A sender may use this many times what a single dump needs: rounds of pre-copy are kept beside each other. */
const QUOTA_FACTOR = 4;

export const prepare: Step<'prepare'> = async (input, context) => {
  const entry = await begin(input, context);
  if (context.receiver.session(context.migration, context.epoch) === null) {
    await checkFilesSpace(input, entry, context);
    await checkNames(input, context);
    await make(input, entry, context);
    await expectImages(input, context);
  }
  return { endpoint: context.endpoint, bundleExisted: entry.bundleExisted };
};

/** The PREPARED entry of this epoch, written before anything is made. */
async function begin(input: Input, context: StepContext): Promise<JournalEntry> {
  const before = await readEntry('prepare', context);
  if (before?.epoch === context.epoch) {
    if (before.phase !== 'PREPARED') throw stale('prepare', context, before);
    return before;
  }
  return await claimContainer(context, input.subject, async () => {
    if (before !== null) await withdraw(before, context);
    const bundleExisted = await context.machine.files.isThere(input.subject.bundle);
    const { source: peer, sourceKey: peerKey } = input;
    const fields = { side: 'target', phase: 'PREPARED', peer, peerKey, bundleExisted } as const;
    return await record('prepare', context, newEntry(context, input.subject, fields));
  });
}

/** Removes what an older epoch left here. */
async function withdraw(older: JournalEntry, context: StepContext): Promise<void> {
  if (older.phase !== 'PREPARED' && older.phase !== 'DISCARDED') throw stale('prepare', context, older);
  await undoTarget(older, { ...context, epoch: older.epoch });
}

async function checkFilesSpace(input: Input, entry: JournalEntry, context: StepContext): Promise<void> {
  if (input.sharedRootfs || entry.bundleExisted) return;
  await requireSpace(input.subject.bundle, input.files, context);
}

async function checkNames({ subject, network }: Input, context: StepContext): Promise<void> {
  const host = context.config.name;
  const { container, runtime } = subject;
  const [taken, conflicts] = await Promise.all([
    context.runtimes.get(runtime).state(container, context.signal),
    context.network.conflicts(network, context.signal),
  ]);
  if (taken !== null) throw new CmtError('NAME_TAKEN', { host, container });
  const [address] = conflicts.addressesTaken;
  if (address !== undefined) throw new CmtError('ADDRESS_TAKEN', { host, address });
  const [bridge] = conflicts.missingBridges;
  if (bridge !== undefined)
    throw new CmtError('NETWORK_FAILED', { host, container, bridge, reason: `there is no bridge ${bridge}` });
}

async function make(input: Input, entry: JournalEntry, context: StepContext): Promise<void> {
  const { files } = context.machine;
  await makeImagesRoom({ memory: input.memory, side: 'target' }, context);
  if (!input.sharedRootfs) await files.makeDirectory(input.subject.bundle);
  await record('prepare', context, { ...entry, network: input.network });
  await context.network.build(input.network, context.signal);
}

async function expectImages(
  input: Input,
  { config, migration, epoch, receiver }: StepContext,
): Promise<void> {
  await receiver.expect({
    migration,
    epoch,
    sourceKey: input.sourceKey,
    images: imagesDir(config, migration, epoch),
    bundle: input.sharedRootfs ? null : input.subject.bundle,
    quota: QUOTA_FACTOR * imagesNeed(input.memory),
    transport: input.transport,
  });
}
