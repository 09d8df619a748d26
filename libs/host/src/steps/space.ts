/** Room on a file system, asked before anything is written there. */
import { CmtError, type HostName } from '@cmt/contracts';
import { freeBytes } from '../preflight/disk.ts';

const MIB = 1024 * 1024;

/** Bytes of CRIU's image files beside the pages. */
const METADATA_BYTES = 16 * MIB;

/** Bytes that one dump of so much memory takes at most. */
export const imagesNeed = (memory: number): number => Math.ceil(memory * 1.05) + METADATA_BYTES;

/** @throws CmtError TARGET_FULL when fewer bytes are free there. */
export async function requireSpace(path: string, need: number, host: HostName): Promise<void> {
  const free = await freeBytes(path);
  if (free < need) throw new CmtError('TARGET_FULL', { host, path, free: mib(free), need: mib(need) });
}

const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;
