/**
 * A program of `npm run scale` in a process of its own, bundled as workers are: run from its sources, tsx names every function anew whenever
 * one is made, which was half of what small ones cost.
 */
import { start } from '@cmt/host';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { bundle } from '../support/bundle.ts';

export interface Program {
  readonly pid: number;
  begin(): void;
  /** Tells it to stop and returns the last line that it said. */
  stop(): Promise<string>;
}

/** Arguments of Node for a CPU profile of each process, where CMT_SCALE_PROFILE names a directory for them. */
export const profiled = (): string[] =>
  process.env.CMT_SCALE_PROFILE ? ['--cpu-prof', '--cpu-prof-dir', process.env.CMT_SCALE_PROFILE] : [];

/**
 * Bundles a program of this directory.
 * @param dir where it is put
 * @returns its path
 */
export async function bundled(name: string, dir: string): Promise<string> {
  const outfile = join(dir, `${name}.mjs`);
  await bundle(join(import.meta.dirname, `${name}.ts`), outfile);
  return outfile;
}

/** Resolves once it says that it is ready. */
export async function startProgram(path: string, order: object): Promise<Program> {
  const child = start(process.execPath, [...profiled(), path, JSON.stringify(order)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    buffer: false,
  });
  let last = '';
  const lines = child.stdout && createInterface({ input: child.stdout });
  await new Promise<void>((resolve, reject) => {
    lines?.on('line', (line) => {
      last = line;
      if (line === 'ready') resolve();
    });
    child.once('exit', () => reject(new Error(`${path} ended`)));
  });
  const closed = new Promise((resolve) => lines?.once('close', resolve));
  const ended = child.then(
    () => undefined,
    () => undefined,
  );
  return {
    pid: child.pid ?? 0,
    begin: () => void child.stdin?.write('go\n'),
    stop: async () => {
      child.kill('SIGTERM');
      await Promise.all([closed, ended]);
      return last;
    },
  };
}
