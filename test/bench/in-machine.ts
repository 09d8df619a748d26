/** The benchmark in the virtual machine of the kernel suite: its kernel tracks dirty pages, its processor is emulated. */
import { join } from 'node:path';
import { startMachine } from '../kernel/machine.ts';
import type { Told } from './inside.ts';
import type { Audience, Request, Result } from './measure.ts';

const here = (name: string): string => join(import.meta.dirname, name);
const PROGRAM = {
  entry: here('inside.ts'),
  starts: { writer: here('writer.ts') },
  reads: [here('ticker.pl')],
};
const MEMORY_MIB = 8192;
const LIMIT_MS = 4 * 3600_000;

/** As `measure`, there. An interruption ends the machine, and with it all that it holds. */
export async function measureInMachine(
  request: Request,
  audience: Audience,
  interrupted: AbortSignal,
): Promise<Result> {
  const machine = await startMachine<Told>({
    program: { ...PROGRAM, request },
    ...{ memoryMiB: MEMORY_MIB, limitMs: LIMIT_MS, onProgress: (text) => audience.line(text) },
  });
  const stop = (): void => void machine.stop();
  interrupted.addEventListener('abort', stop);
  try {
    for await (const told of machine.told) {
      if (told.kind === 'line') audience.line(told.text);
      else if (told.kind === 'point') audience.point(told.point);
      else if (told.kind === 'result') return told.result;
      else throw new Error(told.error);
    }
    interrupted.throwIfAborted();
    throw new Error(`the machine ended before the benchmark: ${await machine.lastLines()}`);
  } finally {
    interrupted.removeEventListener('abort', stop);
    await machine.stop();
  }
}
