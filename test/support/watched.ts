/** A container that talks with a peer outside all hosts, watched from there and from the machine. */
import { labExec, type Lab } from '@cmt/lab';
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import { startWitness, type Observer } from '../../apps/lab/src/demo/observer.ts';
import { lookAtHosts, type Before } from './expectations.ts';
import { conversationGoesOn, startPeer, type Peer } from './peer.ts';
import { startWorkload } from './workloads.ts';

export interface WatchedSpec {
  readonly id: string;
  readonly host: string;
  /** MiB that it has besides what it needs. */
  readonly memory?: number;
  /** A shell script that its host runs once it is there. */
  readonly then?: string;
}

export interface Watched {
  readonly peer: Peer;
  /** All hosts as they were when it had said its first word. */
  readonly before: Before;
  readonly witness: Observer<CopiesReport>;
}

/** Resolves when both talk; peer and witness are the caller's to kill. */
export async function startWatched(lab: Lab, { id, host, memory, then }: WatchedSpec): Promise<Watched> {
  const address = `10.77.${lab.index}.101`;
  const peer = await startPeer(lab, address);
  const args = [...peer.args, ...(memory === undefined ? [] : [String(memory)])];
  await startWorkload(lab, host, { id, program: 'network', net: { kind: 'bridge', address }, args });
  if (then !== undefined) await labExec(lab, host, ['sh', '-c', then]);
  await conversationGoesOn(peer);
  const before = await lookAtHosts(lab);
  return { peer, before, witness: await startWitness(lab, id) };
}
