/** The network cut for longer than every lock: between the hosts, between one and Redis, or one from everybody. */
import { cutFromGateway, cutHostsApart, cutLink, restoreLink, type Lab } from '@cmt/lab';
import { setTimeout as pause } from 'node:timers/promises';
import type { Fault } from './fault.ts';
import { LONGER_THAN_A_LOCK_MS } from './victims.ts';

type Side = 'source' | 'target';

const cut =
  (hosts: readonly Side[], how: (lab: Lab, names: readonly string[]) => Promise<void>): Fault =>
  (scene) => {
    const names = hosts.map((side) => scene[side]);
    const { lab } = scene.fleet;
    return Promise.resolve({
      strike: async () => {
        const at = Date.now();
        await how(lab, names);
        return { at };
      },
      heal: async () => {
        await pause(LONGER_THAN_A_LOCK_MS);
        for (const name of names) await restoreLink(lab, name);
      },
    });
  };

export const hostsApart: Fault = cut(['source', 'target'], cutHostsApart);
export const offTheNetwork = (side: Side): Fault =>
  cut([side], async (lab, [host = '']) => cutLink(lab, host));
export const offRedis = (side: Side): Fault =>
  cut([side], async (lab, [host = '']) => cutFromGateway(lab, host));
