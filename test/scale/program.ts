/** A program of `npm run scale` in a process of its own. */
import { start } from '@cmt/host';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Program {
  readonly pid: number;
  begin(): void;
  /** Tells it to stop and returns the last line that it said. */
  stop(): Promise<string>;
}

/** Arguments of Node for a CPU profile of each process, where CMT_SCALE_PROFILE names a directory for them. */
export const profiled = (): string[] =>
  process.env.CMT_SCALE_PROFILE ? ['--cpu-prof', '--cpu-prof-dir', process.env.CMT_SCALE_PROFILE] : [];

/** Resolves once it says that it is ready. */
export async function startProgram(file: string, order: object): Promise<Program> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = start(process.execPath, [...profiled(), '--import', 'tsx', path, JSON.stringify(order)], {
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
    child.once('exit', () => reject(new Error(`${file} ended`)));
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
