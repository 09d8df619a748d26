/** The outside end of the `network` workload, as a process in the fabric. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fabricExecArgv, type Lab } from '@cmt/lab';
import { startObserver, type Observer } from '../../apps/lab/src/demo/observer.ts';
import type { EchoReport } from './echo-peer.ts';

const PEER_PORT = 7001;
const WORKLOAD_PORT = 7000;

export interface Peer extends Observer<EchoReport> {
  /** Arguments of the workload that will talk with this peer. */
  readonly args: readonly string[];
}

/** Waits for the workload at `address`; from its first call on it calls back. */
export async function startPeer(lab: Lab, address: string): Promise<Peer> {
  const program = join(import.meta.dirname, 'echo-peer.ts');
  const own = [lab.fabric.gateway, `${PEER_PORT}`];
  const node = [process.execPath, '--import', import.meta.resolve('tsx')];
  const argv = [...node, program, ...own, address, `${WORKLOAD_PORT}`];
  const peer = startObserver<EchoReport>(fabricExecArgv(lab, argv));
  await peer.report();
  return { ...peer, args: own };
}

/** Milliseconds. TCP's timers run on while a container stands still: its own next try may be as far away as it stood, and twice. */
const BACK_OFF_MS = 100_000;
const LOOK_MS = 20;

/** Resolves when more has been said both ways than was said when it was called. */
export async function conversationGoesOn(peer: Peer, timeoutMs = BACK_OFF_MS): Promise<EchoReport> {
  const before = await peer.report();
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const now = await peer.report();
    if (now.called.answered > before.called.answered && now.served.bytes > before.served.bytes) return now;
    if (Date.now() > deadline) throw new Error(`nothing more was said: ${JSON.stringify(now)}`);
    await pause(LOOK_MS);
  }
}
