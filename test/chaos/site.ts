/** A lab of its own with one container that wanders through it from cell to cell, and those who watch it. */
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import { startWitness, type Observer } from '../../apps/lab/src/demo/observer.ts';
import { startFleet, type Fleet } from '../support/fleet.ts';
import { lookAtHosts, processesBelow, type Before } from '../support/left-behind.ts';
import { conversationGoesOn, startPeer, type Peer } from '../support/peer.ts';
import { startWorkload } from '../support/workloads.ts';
import { makeHooks, type Hooks } from './moments.ts';

export const CONTAINER = 'wanderer';

export interface Site {
  fleet: Fleet;
  /** The host that the container is on. */
  here: string;
  readonly hooks: Hooks;
  readonly peer: Peer;
  readonly witness: Observer<CopiesReport>;
  /** Hosts and machine as they were when the container had started. */
  readonly before: Before;
  readonly machineBefore: readonly string[];
  close(): Promise<void>;
}

/** Brings a lab up and starts the container on host1. */
export async function openSite(name: string): Promise<Site> {
  const fleet = await startFleet(name);
  const watchers: { kill(): void }[] = [];
  const close = async (): Promise<void> => {
    for (const watcher of watchers) watcher.kill();
    await fleet.stop();
  };
  try {
    const { lab, stateDir } = fleet;
    const address = `10.77.${lab.index}.101`;
    const peer = await startPeer(lab, address);
    watchers.push(peer);
    const here = 'host1';
    const net = { kind: 'bridge', address } as const;
    await startWorkload(lab, here, { id: CONTAINER, program: 'network', net, args: peer.args });
    await conversationGoesOn(peer);
    const before = await lookAtHosts(lab);
    const witness = await startWitness(lab, CONTAINER);
    watchers.push(witness);
    const machineBefore = await processesBelow(lab, stateDir);
    return { fleet, here, hooks: await makeHooks(stateDir), peer, witness, before, machineBefore, close };
  } catch (error) {
    await close();
    throw error;
  }
}

export const otherHost = ({ fleet, here }: Site): string =>
  fleet.lab.hosts.find(({ name }) => name !== here)?.name ?? '';
