/** The networks that cmt can carry, behind one interface. */
import { CmtError, type ContainerNetwork } from '@cmt/contracts';
import { ProcessError } from '../process.ts';
import {
  attachBridge,
  buildBridge,
  fenceBridge,
  liftRefusal,
  removeBridge,
  requireEmpty,
  unfenceBridge,
} from './bridge.ts';
import { findConflicts } from './conflicts.ts';
import { describeNetwork } from './describe.ts';
import type { BridgeNetwork } from './names.ts';
import type { Network } from './network.ts';
import { buildLoopback, removeLoopback } from './plain.ts';

/** @param host name of this host, for what goes wrong */
export function createNetwork(host: string): Network {
  const onBridge = async (network: ContainerNetwork, act: (network: BridgeNetwork) => Promise<void>) => {
    if (network.kind === 'bridge') await explained(host, network, () => act(network));
  };
  return {
    describe: (pid, signal) => describeNetwork(host, pid, signal),
    async fence(network, signal, freeze) {
      if (network.kind !== 'bridge') return await freeze?.();
      await onBridge(network, (bridge) => fenceBridge(bridge, signal, freeze));
    },
    unfence: (network, signal) => onBridge(network, (bridge) => unfenceBridge(bridge, signal)),
    async attach(network, signal, ready = Promise.resolve(), onJoined = () => undefined) {
      if (network.kind !== 'bridge') await ready;
      await onBridge(network, (bridge) => attachBridge(bridge, signal, ready, onJoined));
    },
    async build(network, signal) {
      if (network.kind === 'none' && network.netns !== undefined) {
        await requireEmpty(host, network.netns);
        await buildLoopback(network.netns, network.sysctls ?? {}, signal);
      }
      await onBridge(network, (bridge) => buildBridge(host, bridge, signal));
    },
    async remove(network, signal) {
      if (network.kind === 'none' && network.netns !== undefined) {
        await requireEmpty(host, network.netns);
        await removeLoopback(network.netns, signal);
      }
      await onBridge(network, async (bridge) => {
        await removeBridge(host, bridge, signal);
        await liftRefusal(bridge, signal);
      });
    },
    conflicts: async (network, signal) =>
      network.kind === 'bridge'
        ? await findConflicts(network, signal)
        : { addressesTaken: [], missingBridges: [] },
  };
}

/** Turns a command that failed into the catalogue's words. */
async function explained(host: string, network: BridgeNetwork, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof ProcessError)) throw error;
    const bridge = network.links.map((link) => link.bridge).join(', ');
    throw new CmtError('NETWORK_FAILED', { host, container: network.netns, bridge, reason: error.message });
  }
}
