/**
 * Mounts that a killed runtime left in its state directory. `runc restore` bind-mounts the container's root filesystem at
 * `<root>/<id>/criu-root`; whoever deletes that directory recursively afterwards empties the container.
 */
import { mountsWithin } from '../mounts.ts';
import { run } from '../process.ts';

const UMOUNT_LIMIT_MS = 5_000;

/**
 * Unmounts everything at a path or below it, the last mounted first; nothing there is fine.
 * @throws {Error} when something remains: then nothing may be deleted
 */
export async function unmountWithin(path: string, signal: AbortSignal): Promise<void> {
  const mounts = await mountsWithin(path).catch(() => []);
  for (const mount of mounts.toReversed())
    await run('umount', ['--lazy', '--no-canonicalize', '--', mount], { timeoutMs: UMOUNT_LIMIT_MS, signal });
}
