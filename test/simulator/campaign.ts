/** Many runs, over several processes: what `npm run simulate` does. */
import { fork, type ChildProcess } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

export interface Tally {
  readonly runs: number;
  readonly events: number;
  readonly faults: number;
  /** Runs in which nothing went wrong, because they ended before it would have. */
  readonly undisturbed: number;
  readonly violations: number;
  /** Seeds of the first failing runs. */
  readonly failing: readonly number[];
  readonly crashPoints: readonly string[];
  readonly byEnd: Readonly<Record<string, number>>;
}

export interface Campaign {
  readonly runs: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}

const PROGRAM = fileURLToPath(new URL('./campaign-process.ts', import.meta.url));
/** Runs handed to a process at a time. */
const BATCH = 100;
/** Batches after which another process takes over: what the dead of simulated worlds wait for is never answered, and stays in memory. */
const BATCHES_PER_PROCESS = 20;

/** Runs `runs` seeds from `seed` on. Rejects when a process breaks. */
export async function runCampaign({ runs, seed, onProgress }: Campaign): Promise<Tally> {
  const batches = Array.from({ length: Math.ceil(runs / BATCH) }, (_, index) => {
    const from = seed + index * BATCH;
    return { from, to: Math.min(from + BATCH, seed + runs) };
  });
  let sum: Tally = {
    runs: 0,
    events: 0,
    faults: 0,
    undisturbed: 0,
    violations: 0,
    failing: [],
    crashPoints: [],
    byEnd: {},
  };
  const processes = Math.max(1, Math.min(availableParallelism(), batches.length));
  const one = async (): Promise<void> => {
    while (batches.length > 0) {
      const child = fork(PROGRAM, { execArgv: ['--import', import.meta.resolve('tsx')] });
      try {
        for (let played = 0; played < BATCHES_PER_PROCESS; played += 1) {
          const batch = batches.shift();
          if (batch === undefined) break;
          const tally = await answerOf(child, batch);
          sum = added(sum, tally);
          onProgress?.(sum.runs);
        }
      } finally {
        child.kill();
      }
    }
  };
  await Promise.all(Array.from({ length: processes }, one));
  return sum;
}

const answerOf = (child: ChildProcess, batch: { from: number; to: number }): Promise<Tally> =>
  new Promise((resolve, reject) => {
    const broke = () => reject(new Error('a process of the campaign ended early'));
    child.once('exit', broke).once('message', (tally) => {
      child.off('exit', broke);
      resolve(tally as Tally);
    });
    child.send(batch);
  });

/** Two tallies as one. */
export function added(a: Tally, b: Tally): Tally {
  const ends = [...new Set([...Object.keys(a.byEnd), ...Object.keys(b.byEnd)])].sort();
  return {
    runs: a.runs + b.runs,
    events: a.events + b.events,
    faults: a.faults + b.faults,
    undisturbed: a.undisturbed + b.undisturbed,
    violations: a.violations + b.violations,
    failing: [...a.failing, ...b.failing].sort((x, y) => x - y).slice(0, 10),
    crashPoints: [...new Set([...a.crashPoints, ...b.crashPoints])].sort(),
    byEnd: Object.fromEntries(ends.map((end) => [end, (a.byEnd[end] ?? 0) + (b.byEnd[end] ?? 0)])),
  };
}
