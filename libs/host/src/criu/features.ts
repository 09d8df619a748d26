/** What kernel and criu of this host can do together (criu(8), check --feature). */
import type { HostFacts } from '@cmt/contracts';
import { tryRun } from '../process.ts';

const FEATURE_LIMIT_MS = 10_000;

/** CRIU's names: pages that changed since the last round, and memory that follows its process. */
const FEATURES = { dirtyTracking: 'mem_dirty_track', lazyPages: 'uffd-noncoop' } as const;

/** All false on a host without criu. */
export async function criuFeatures(signal: AbortSignal): Promise<HostFacts['features']> {
  const [dirtyTracking, lazyPages] = await Promise.all([
    hasFeature(FEATURES.dirtyTracking, signal),
    hasFeature(FEATURES.lazyPages, signal),
  ]);
  return { dirtyTracking, lazyPages };
}

async function hasFeature(feature: string, signal: AbortSignal): Promise<boolean> {
  const args = ['check', '--feature', feature];
  // It forks, and leaves its child behind when it is ended alone.
  const options = { timeoutMs: FEATURE_LIMIT_MS, signal, withChildren: true };
  const finished = await tryRun('criu', args, options).catch(() => null);
  signal.throwIfAborted();
  return finished?.code === 0;
}
