/**
 * Which bundles on this host cmt has put here or left here, so that a container may come back to its own bundle, and
 * nobody else's directory is ever written over.
 *
 * INVARIANT: a record counts only for the very directory it was written for, told by its inode.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { AbsolutePath, ContainerId, type WorkerConfig } from '@cmt/contracts';

type Config = Pick<WorkerConfig, 'stateDir'>;

const BundleRecord = z.object({
  v: z.literal(1),
  bundle: AbsolutePath,
  container: ContainerId,
  inode: z.int(),
});

/** Notes that the directory at this path is a copy of that container's bundle. Nothing happens when there is none. */
export async function rememberBundle(config: Config, bundle: string, container: ContainerId): Promise<void> {
  const inode = await inodeOf(bundle);
  if (inode === null) return;
  const path = recordPath(config, bundle);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await writeFile(`${path}.tmp`, JSON.stringify({ v: 1, bundle, container, inode }), { mode: 0o600 });
  await rename(`${path}.tmp`, path);
}

/** Idempotent. */
export const forgetBundle = (config: Config, bundle: string): Promise<void> =>
  rm(recordPath(config, bundle), { force: true });

/** The container whose bundle this is, or null when cmt knows nothing of that directory. */
export async function bundleOwner(config: Config, bundle: string): Promise<ContainerId | null> {
  const text = await readFile(recordPath(config, bundle), 'utf8').catch(() => null);
  const record = text === null ? null : BundleRecord.safeParse(parsed(text));
  if (!record?.success || record.data.bundle !== bundle) return null;
  return record.data.inode === (await inodeOf(bundle)) ? record.data.container : null;
}

const recordPath = ({ stateDir }: Config, bundle: string): string =>
  join(stateDir, 'bundles', `${createHash('sha256').update(bundle).digest('hex').slice(0, 32)}.json`);

const inodeOf = (path: string): Promise<number | null> =>
  stat(path).then(
    (found) => (found.isDirectory() ? found.ino : null),
    () => null,
  );

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
