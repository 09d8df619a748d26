/**
 * Where the images of an epoch lie on this host: in memory while there is room for them, else on disk, and the migration says so.
 *
 * INVARIANTS
 * - `imagesDir` is the one path by which everything else reaches them. When they lie on disk it is a link, made once and never moved.
 * - Both ends of that link are made from the configuration and the migration alone: what a crash leaves is found and removed.
 */
import { imagesNeed, type MigrationId } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { Room } from '../machine.ts';
import { imagesDir, spillDir, volatileDir } from '../places.ts';
import { mib, tooFull } from './space.ts';

/** What a host has to offer for images, and what they ask of it; bytes. */
export interface RoomAsked {
  readonly images: Room;
  readonly spill: Room;
  readonly need: number;
  /** Memory that the container itself will take on this host, beside its images. */
  readonly memoryToCome: number;
}

/** Memory if everything fits, else disk; null when neither has room. Pure. */
export function chooseRoom({ images, spill, need, memoryToCome }: RoomAsked): 'images' | 'spill' | null {
  if (images.free >= need + (images.inMemory ? memoryToCome : 0)) return 'images';
  return !spill.inMemory && spill.free >= need ? 'spill' : images.free >= need ? 'images' : null;
}

/**
 * Makes the directory of this epoch's images, unless it is there.
 * @param memory bytes that a dump of the container holds
 * @throws CmtError TARGET_FULL
 */
export async function makeImagesRoom(
  { memory, side }: { readonly memory: number; readonly side: 'source' | 'target' },
  context: StepContext,
): Promise<void> {
  const { config, migration, epoch, machine, tell } = context;
  const path = imagesDir(config, migration, epoch);
  const onDisk = `${spillDir(config, migration)}/${epoch}`;
  if (await machine.files.isThere(path)) return;
  const [images, spill] = await Promise.all([
    machine.files.room(config.imagesDir),
    machine.files.room(onDisk),
  ]);
  const need = imagesNeed(memory);
  const choice = chooseRoom({ images, spill, need, memoryToCome: side === 'target' ? memory : 0 });
  if (choice === null)
    throw tooFull(config.name, { path: config.imagesDir, free: Math.max(images.free, spill.free), need });
  if (choice === 'images') return await machine.files.makeDirectory(path);
  await machine.files.makeLinkedDirectory(path, onDisk);
  tell({
    kind: 'warning',
    text: `images lie on disk (${onDisk}), which makes the blackout longer: ${config.imagesDir} on ${config.name} has room for ${mib(images.free)}, ${mib(need)} are needed`,
  });
}

/** Everything that lives only while the migration does is gone, wherever its images lie. */
export async function removeVolatile(
  migration: MigrationId,
  { machine, config }: StepContext,
): Promise<void> {
  await machine.files.removeTree(volatileDir(config, migration));
  await machine.files.removeTree(spillDir(config, migration));
}
