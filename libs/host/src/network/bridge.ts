/**
 * Containers with a network namespace of their own on bridges: addresses, routes and connections move with them.
 *
 * INVARIANTS
 * - A built link is on no bridge until `attach`, and the host neither answers nor routes what comes out of it.
 * - The rules of a fence are named after the namespace; `unfence` and `remove` take them away whoever set them.
 * - `remove` touches a namespace only when no process is inside.
 */
import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { CmtError } from '@cmt/contracts';
import * as commands from './commands.ts';
import { ipBatch, ipBatchIfThere, ipBatchWhen, ipJson } from './ip.ts';
import { builtHostLink, fenceTable, type BridgeNetwork } from './names.ts';
import { dropNetns, makeNetns, netnsAt, processesInside } from './netns.ts';
import { applyRules, refusalRules, removalRules } from './refusal.ts';
import { writeSysctls } from './sysctls.ts';

const Names = z.array(z.object({ ifname: z.string() }));

export class BridgeFence {
  /** Refusals that are still being set up, by namespace: they may not end after their own removal. */
  readonly #settingUp = new Map<string, Promise<unknown>>();

  /** Cuts the links; the refusal follows behind, because the container waits for this and not for that. */
  async fence(network: BridgeNetwork, signal: AbortSignal): Promise<void> {
    await ipBatchIfThere(null, commands.cut(network), signal);
    await this.#settled(network);
    this.#settingUp.set(network.netns, refuse(network, signal));
  }

  async unfence(network: BridgeNetwork, signal: AbortSignal): Promise<void> {
    await this.lift(network, signal);
    await ipBatch(null, commands.rejoin(network), signal);
  }

  /** Takes the refusal away. Idempotent. */
  async lift(network: BridgeNetwork, signal: AbortSignal): Promise<void> {
    await this.#settled(network);
    await applyRules(removalRules(fenceTable(network)), signal);
  }

  async #settled({ netns }: BridgeNetwork): Promise<void> {
    await this.#settingUp.get(netns);
    this.#settingUp.delete(netns);
  }
}

/** Makes namespace and links anew, whatever a crash has left of them. */
export async function buildBridge(host: string, network: BridgeNetwork, signal: AbortSignal): Promise<void> {
  await removeBridge(host, network, signal);
  await makeNetns(network.netns, signal);
  await ipBatch(null, commands.makeLinks(network), signal);
  for (const link of network.links) await isolate(builtHostLink(network, link));
  await writeSysctls(network.netns, network.sysctls ?? {}, signal);
  await ipBatch(null, commands.raiseHostLinks(network), signal);
  await ipBatch(network.netns, commands.furnish(network), signal);
}

/** Joins the links and, from a process that is already there when they are, tells the segment. */
export async function attachBridge(network: BridgeNetwork, signal: AbortSignal): Promise<void> {
  const joined = ipBatch(null, commands.joinBuilt(network), signal);
  const announced = ipBatchWhen(joined, network.netns, commands.announce(network), signal);
  await Promise.all([joined, announced]);
}

/** @throws CmtError NETWORK_IN_USE while a process is inside */
export async function removeBridge(host: string, network: BridgeNetwork, signal: AbortSignal): Promise<void> {
  const { netns } = network;
  if ((await netnsAt(netns)) !== null) {
    await requireEmpty(host, netns);
    // By hand: the kernel removes the links of a dead namespace some time later, and the names must be free now.
    await ipBatchIfThere(netns, commands.deleteLinks(network), signal);
  }
  await dropNetns(netns, signal);
}

/** @throws CmtError NETWORK_IN_USE */
export async function requireEmpty(host: string, netns: string): Promise<void> {
  const inode = await netnsAt(netns);
  const [pid] = inode === null ? [] : await processesInside(inode);
  if (pid !== undefined) throw new CmtError('NETWORK_IN_USE', { host, netns, process: `process ${pid}` });
}

/** @returns whether peers are refused from now on; never rejects, for nothing depends on it */
async function refuse(network: BridgeNetwork, signal: AbortSignal): Promise<boolean> {
  const bridges = [...new Set(network.links.map(({ bridge }) => bridge))];
  try {
    const ports = await Promise.all(bridges.map((bridge) => portsOf(bridge, signal)));
    const portsByBridge = new Map(bridges.map((bridge, index) => [bridge, ports[index] ?? []]));
    return await applyRules(refusalRules(fenceTable(network), network, portsByBridge), signal);
  } catch {
    return false;
  }
}

const portsOf = async (bridge: string, signal: AbortSignal): Promise<string[]> =>
  (await ipJson(null, ['link', 'show', 'master', bridge], Names, signal)).map(({ ifname }) => ifname);

/** Keeps the host's own stack out of what a link carries while it is on no bridge. */
async function isolate(link: string): Promise<void> {
  await writeFile(`/proc/sys/net/ipv4/conf/${link}/forwarding`, '0');
  await writeFile(`/proc/sys/net/ipv4/conf/${link}/arp_ignore`, '8');
  // Absent on a host without IPv6.
  await writeFile(`/proc/sys/net/ipv6/conf/${link}/disable_ipv6`, '1').catch(() => undefined);
}
