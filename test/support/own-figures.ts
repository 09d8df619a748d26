/** What a process costs while it works: its event loop's lag, memory of it and of its children, processor time. */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface OwnFigures {
  /** Milliseconds, 99th percentile, less the sampler's own step. */
  readonly lagP99Ms: number;
  /** MiB: this process now, and the largest of its children. */
  readonly rssMiB: number;
  readonly childRssMiB: number;
}

const STEP_MS = 1;

/** Watches from now on. */
export function ownFigures(): { reset(): void; read(): OwnFigures } {
  const lag = monitorEventLoopDelay({ resolution: STEP_MS });
  lag.enable();
  let [own, child] = [0, 0];
  const look = (): void => {
    own = Math.max(own, process.memoryUsage.rss() / 2 ** 20);
    child = Math.max(child, ...children().map(peakOf));
  };
  setInterval(look, 50).unref();
  return {
    reset: () => {
      lag.reset();
      [own, child] = [0, 0];
    },
    read: () => {
      look();
      const lagP99Ms = Math.max(0, lag.percentile(99) / 1e6 - STEP_MS);
      return { lagP99Ms, rssMiB: own, childRssMiB: child };
    },
  };
}

const children = (): string[] =>
  read(`/proc/self/task/${process.pid}/children`).trim().split(' ').filter(Boolean);

/** MiB, the most that was resident (proc(5), VmHWM). */
const peakOf = (pid: string): number =>
  Number(/VmHWM:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) / 1024;

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
