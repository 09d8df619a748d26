/** One container that goes back and forth between two hosts while one client talks with it. */
import type { MigrationReport } from '@cmt/contracts';
import {
  differences,
  holdingsOf,
  isUsual,
  together,
  type Difference,
  type Holdings,
} from '../support/leftovers.ts';
import { migrate, newId, type Fleet } from '../support/fleet.ts';
import { conversationGoesOn, startPeer, type Peer } from '../support/peer.ts';
import { startWorkload } from '../support/workloads.ts';

export interface Wandering {
  readonly peer: Peer;
  /** Moves it to the host where it is not, and hears that the conversation goes on. */
  move(): Promise<MigrationReport>;
  /** What is on the hosts now and was not before the first move, or the other way round. */
  leftovers(): Promise<Difference[]>;
}

const SETTLE_MS = 10_000;
const ID = 'endurer';

export async function startWandering(fleet: Fleet): Promise<Wandering> {
  const { lab } = fleet;
  const address = `10.77.${lab.index}.101`;
  const peer = await startPeer(lab, address);
  const net = { kind: 'bridge', address } as const;
  await startWorkload(lab, 'host1', { id: ID, program: 'network', net, args: peer.args });
  await conversationGoesOn(peer);
  const before = await look(fleet);
  let [from, to] = ['host1', 'host2'];
  return {
    peer,
    move: async () => {
      const { migration } = await migrate(fleet, { id: newId(), container: ID, from, to });
      if (migration.state === 'done') [from, to] = [to, from];
      await conversationGoesOn(peer);
      return migration;
    },
    leftovers: async () => {
      const deadline = Date.now() + SETTLE_MS;
      for (;;) {
        const left = differences('all hosts', before, await look(fleet), isUsual);
        if (left.length === 0 || Date.now() > deadline) return left;
      }
    },
  };
}

const look = async ({ lab }: Fleet): Promise<Holdings> =>
  together(await Promise.all(lab.hosts.map(({ name }) => holdingsOf(lab, name))));
