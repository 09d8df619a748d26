/** What kernel and criu of this host can do together (criu(8), check --feature). */
import type { HostFacts } from '@cmt/contracts';
import { tryRun } from '../process.ts';
import { hasUnifiedCgroups } from '../runtimes/cgroup.ts';
import { canGuard } from './lazy-pages.ts';

/** Milliseconds. CRIU forks and traces to find out: an emulated processor was seen to need more than ten seconds. */
const FEATURE_LIMIT_MS = 30_000;

/** CRIU's names: pages that changed since the last round, and memory that follows its process. */
const FEATURES = { dirtyTracking: 'mem_dirty_track', lazyPages: 'uffd-noncoop' } as const;

/**
 * All false on a host without criu.
 * @param isUnified whether containers have cgroup2 here
 */
export async function criuFeatures(
  signal: AbortSignal,
  isUnified: () => Promise<boolean> = hasUnifiedCgroups,
): Promise<HostFacts['features']> {
  const [dirtyTracking, uffd, guard, unified] = await Promise.all([
    hasFeature(FEATURES.dirtyTracking, signal),
    hasFeature(FEATURES.lazyPages, signal),
    canGuard(signal),
    isUnified(),
  ]);
  // Without a guard, and a cgroup that it can kill, a container whose daemon died would go on with zeroed pages.
  return { dirtyTracking, lazyPages: uffd && guard && unified };
}

async function hasFeature(feature: string, signal: AbortSignal): Promise<boolean> {
  const args = ['check', '--feature', feature];
  // It forks, and leaves its child behind when it is ended alone.
  const options = { timeoutMs: FEATURE_LIMIT_MS, signal, withChildren: true };
  const finished = await tryRun('criu', args, options).catch(() => null);
  signal.throwIfAborted();
  return finished?.code === 0;
}
