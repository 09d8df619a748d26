/** A power cut of one host and a new start: its processes and memory are gone, its disk is kept. */
import { rebootHost } from '@cmt/lab';
import type { Fault } from './fault.ts';
import { restartWhatIsGone } from './victims.ts';

export const reboot =
  (side: 'source' | 'target'): Fault =>
  (scene) =>
    Promise.resolve({
      strike: async () => {
        const at = Date.now();
        return { at, lab: await rebootHost(scene.fleet.lab, scene[side]) };
      },
      heal: () => restartWhatIsGone(scene.fleet),
    });
