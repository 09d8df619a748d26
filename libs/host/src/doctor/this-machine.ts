/** Looks at this machine: its facts, and the programs that cmt starts. */
import type { Diagnosis, WorkerConfig } from '@cmt/contracts';
import { gatherFacts } from '../preflight/facts.ts';
import { tryRun } from '../process.ts';
import type { Runtimes } from '../runtimes/runtime.ts';
import { diagnoseMachine } from './machine-diagnoses.ts';

/** Each with an argument that makes it say its version and end. */
const PROGRAMS: readonly (readonly [program: string, argument: string])[] = [
  ['rsync', '--version'],
  ['ip', '-V'],
  ['nft', '--version'],
];
const LIMIT_MS = 5_000;

export async function diagnoseThisMachine(
  config: Pick<WorkerConfig, 'name' | 'imagesDir'>,
  runtimes: Runtimes,
  signal: AbortSignal,
): Promise<Diagnosis[]> {
  const [facts, ...missing] = await Promise.all([
    gatherFacts(config, runtimes, signal),
    ...PROGRAMS.map(async ([program, argument]) =>
      (await isThere(program, argument, signal)) ? [] : [program],
    ),
  ]);
  return diagnoseMachine({ facts, isRoot: process.getuid?.() === 0, missing: missing.flat() });
}

async function isThere(program: string, argument: string, signal: AbortSignal): Promise<boolean> {
  const ended = await tryRun(program, [argument], { timeoutMs: LIMIT_MS, signal }).catch(() => null);
  return ended !== null && ended.code === 0;
}
