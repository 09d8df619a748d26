/** SIGKILL to the coordinator or a worker; whoever looks after them starts them again at once. */
import type { Fault, Victim } from './fault.ts';
import { processOf, restartWhatIsGone } from './victims.ts';

export const killProcess =
  (victim: Victim): Fault =>
  async (scene) => {
    const { pid } = await processOf(victim, scene);
    return {
      strike: () => {
        process.kill(pid, 'SIGKILL');
        return Promise.resolve({ at: Date.now() });
      },
      heal: () => restartWhatIsGone(scene.fleet),
    };
  };
