/**
 * Networks with nothing to carry: the host's own, and a namespace that has only its loopback.
 *
 * A namespace without a path is made by the runtime itself at restore; one with a path must be there before.
 * On the host's own network there is nothing to cut at layer 2: addresses stay with the host.
 */
import { ipBatch } from './ip.ts';
import { dropNetns, makeNetns, netnsAt } from './netns.ts';
import { writeSysctls, type Sysctls } from './sysctls.ts';

/** Makes the namespace of a container that has none but a loopback. Idempotent. */
export async function buildLoopback(netns: string, sysctls: Sysctls, signal: AbortSignal): Promise<void> {
  if ((await netnsAt(netns)) === null) await makeNetns(netns, signal);
  await writeSysctls(netns, sysctls, signal);
  await ipBatch(netns, ['link set lo up'], signal);
}

/** Removes it. Idempotent. */
export const removeLoopback = dropNetns;
