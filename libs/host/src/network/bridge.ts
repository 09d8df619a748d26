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
import { ipBatch, ipBatchIfThere, ipBatchIfThereWhen, ipBatchWhen, ipJson } from './ip.ts';
import { builtHostLink, fenceTable, type BridgeNetwork } from './names.ts';
import { dropNetns, makeNetns, netnsAt, processesInside } from './netns.ts';
import { applyRules, refusalRules, removalRules } from './refusal.ts';
import { writeSysctls } from './sysctls.ts';

const Names = z.array(z.object({ ifname: z.string() }));

/**
 * Freeze first, cut then: an answer that is under way at the cut would be repeated by the restored side alone, a whole second later
 * (TCP_TIMEOUT_INIT), for its peer has nothing to ask again. The kernel of a frozen container still takes what comes in between.
 */
export async function fenceBridge(
  network: BridgeNetwork,
  signal: AbortSignal,
  freeze?: () => Promise<void>,
): Promise<void> {
  const frozen = freeze === undefined ? Promise.resolve() : refuse(network, signal).then(freeze);
  await ended([frozen, ipBatchIfThereWhen(frozen, null, commands.cut(network), signal)]);
}

/** What was kept meanwhile is sent when the container announces itself; nothing depends on that. */
export async function unfenceBridge(network: BridgeNetwork, signal: AbortSignal): Promise<void> {
  await ipBatch(null, commands.rejoin(network), signal);
  await liftRefusal(network, signal);
  await ipBatch(network.netns, commands.announce(network), signal).catch(() => undefined);
}

/** Takes away what a fence keeps and refuses. Idempotent. */
export async function liftRefusal(network: BridgeNetwork, signal: AbortSignal): Promise<void> {
  await applyRules(removalRules(fenceTable(network)), signal);
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

/** Joins the links and then tells the segment, by processes that are already there when they are to. */
export async function attachBridge(
  network: BridgeNetwork,
  signal: AbortSignal,
  ready: Promise<unknown>,
  onJoined: () => void,
): Promise<void> {
  const joined = ipBatchWhen(ready, null, commands.joinBuilt(network), signal).then(onJoined);
  const announced = ipBatchWhen(
    ready.then(() => joined),
    network.netns,
    commands.announce(network),
    signal,
  );
  await ended([ready, joined, announced]);
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

/** Peers are refused from now on, and what they send is kept where the kernel can; never rejects, for nothing depends on it. */
async function refuse(network: BridgeNetwork, signal: AbortSignal): Promise<void> {
  const bridges = [...new Set(network.links.map(({ bridge }) => bridge))];
  try {
    const ports = await Promise.all(bridges.map((bridge) => portsOf(bridge, signal)));
    const portsByBridge = new Map(bridges.map((bridge, index) => [bridge, ports[index] ?? []]));
    for (const keep of [true, false])
      if (await applyRules(refusalRules(fenceTable(network), network, portsByBridge, keep), signal)) return;
  } catch {
    // Peers then hear nothing, and wait longer.
  }
}

/** When all have ended, so that nothing goes on behind a failure. @throws the first failure of the list */
async function ended(work: readonly Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
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
