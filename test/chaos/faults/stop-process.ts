/** SIGSTOP to the coordinator or a worker for longer than its lock, then SIGCONT: it wakes up and knows nothing of it. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Fault, Victim } from './fault.ts';
import { LONGER_THAN_A_LOCK_MS, processOf } from './victims.ts';

export const stopProcess =
  (victim: Victim): Fault =>
  async (scene) => {
    const { pid } = await processOf(victim, scene);
    return {
      strike: () => {
        process.kill(pid, 'SIGSTOP');
        return Promise.resolve({ at: Date.now() });
      },
      heal: async () => {
        await pause(LONGER_THAN_A_LOCK_MS);
        process.kill(pid, 'SIGCONT');
      },
    };
  };
