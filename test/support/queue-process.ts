/**
 * A coordinator or a worker in a process of its own, for tests that kill, stop and cut it off. Started by
 * `startQueueProcess`; tells what happens to it as JSON lines on standard output.
 */
import { start } from '@cmt/host';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
import { Said, type Orders } from './queue-orders.ts';

export interface QueueProcess {
  readonly said: readonly Said[];
  /** Resolves with the first line of that kind, past or future. */
  hears(what: string): Promise<Said>;
  signal(name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void;
}

export function startQueueProcess(orders: z.input<typeof Orders>): QueueProcess {
  const file = fileURLToPath(new URL('./queue-program.ts', import.meta.url));
  const child = start(process.execPath, ['--import', 'tsx', file, JSON.stringify(orders)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said: Said[] = [];
  const waiting = new Set<() => void>();
  if (child.stdout)
    createInterface({ input: child.stdout }).on('line', (line) => {
      said.push(Said.parse(JSON.parse(line)));
      for (const look of waiting) look();
    });
  return {
    said,
    hears: (what) =>
      new Promise((resolve) => {
        const look = () => {
          const found = said.find((line) => line.what === what);
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
    signal: (name) => void child.kill(name),
  };
}
