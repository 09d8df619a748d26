/** What both gates are made of: a script that CRIU calls for its actions, and a FIFO at which that waits for a word (fifo(7)). */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../process.ts';

const MKFIFO_LIMIT_MS = 5_000;

export interface GateFiles {
  readonly script: string;
  readonly text: string;
  readonly fifo: string;
  /** Whatever else an earlier gate in that directory may have left. */
  readonly notes: readonly string[];
}

/** Node has no call for it (mkfifo(3)). */
export async function makeFifo(path: string): Promise<void> {
  await run('mkfifo', ['-m', '600', path], { timeoutMs: MKFIFO_LIMIT_MS });
}

/** Makes them afresh in a directory, which is made if need be; the script last. */
export async function makeGateFiles(
  directory: string,
  { script, text, fifo, notes }: GateFiles,
): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await Promise.all([script, fifo, ...notes].map((file) => rm(join(directory, file), { force: true })));
  await makeFifo(join(directory, fifo));
  await writeFile(join(directory, script), text, { mode: 0o700 });
}
