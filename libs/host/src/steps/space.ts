/** Room on a file system, asked before anything is written there. */
import { CmtError } from '@cmt/contracts';
import type { StepContext } from '../context.ts';

const MIB = 1024 * 1024;

/** Bytes of CRIU's image files beside the pages. */
const METADATA_BYTES = 16 * MIB;

/** Bytes that one dump of so much memory takes at most. */
export const imagesNeed = (memory: number): number => Math.ceil(memory * 1.05) + METADATA_BYTES;

/** @throws CmtError TARGET_FULL when fewer bytes are free there. */
export async function requireSpace(
  path: string,
  need: number,
  { machine, config }: StepContext,
): Promise<void> {
  const { free } = await machine.files.room(path);
  if (free >= need) return;
  throw new CmtError('TARGET_FULL', { host: config.name, path, free: mib(free), need: mib(need) });
}

/** Bytes for a message. */
export const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;
