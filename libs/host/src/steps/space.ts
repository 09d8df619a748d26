/** Room on a file system, asked before anything is written there. */
import { CmtError, type HostName } from '@cmt/contracts';
import type { StepContext } from '../context.ts';

const MIB = 1024 * 1024;

/** @throws CmtError TARGET_FULL when fewer bytes are free there. */
export async function requireSpace(
  path: string,
  need: number,
  { machine, config }: StepContext,
): Promise<void> {
  const { free } = await machine.files.room(path);
  if (free >= need) return;
  throw tooFull(config.name, { path, free, need });
}

/** Sizes in bytes. */
export const tooFull = (
  host: HostName,
  { path, free, need }: { readonly path: string; readonly free: number; readonly need: number },
): CmtError => new CmtError('TARGET_FULL', { host, path, free: mib(free), need: mib(need) });

/** Bytes for a message. */
export const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;
