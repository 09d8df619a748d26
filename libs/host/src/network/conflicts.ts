/** What stands in the way of a network on this host: addresses already used here, bridges that are not here. */
import { readdir, stat } from 'node:fs/promises';
import { isIdle, type IpAddress } from './ip-json.ts';
import { linksOf } from './describe.ts';
import { namedNetns, netnsAt, netnsOfProcess, processesInside } from './netns.ts';
import type { BridgeNetwork } from './names.ts';

/** Namespaces that are read at the same time. */
const AT_ONCE = 4;

export interface Conflicts {
  readonly addressesTaken: string[];
  readonly missingBridges: string[];
}

/** Looks at this host only: on the segment the source still holds the addresses, and must. */
export async function findConflicts(network: BridgeNetwork, signal: AbortSignal): Promise<Conflicts> {
  const hostLinks = await linksOf(null, signal);
  const used = hostLinks.flatMap(addressesOf);
  const bridges = new Set(network.links.map(({ bridge }) => bridge));
  for (const links of await otherNamespaces(network, signal))
    used.push(...links.filter((link) => mayMeet(link, hostLinks, bridges)).flatMap(addressesOf));
  const wanted = network.links.flatMap(({ addresses }) => addresses.map(withoutPrefix)).filter(isRoutable);
  return {
    addressesTaken: [...new Set(wanted.filter((address) => used.includes(address)))],
    missingBridges: [...bridges].filter((name) => !hostLinks.some((link) => isBridge(link, name))),
  };
}

/** Whether a container's link is on one of these bridges, or waits to be put on one. */
export function mayMeet(
  link: IpAddress,
  hostLinks: readonly IpAddress[],
  bridges: ReadonlySet<string>,
): boolean {
  if (isIdle(link)) return false;
  const peer = hostLinks.find(
    ({ ifindex, link_index }) => ifindex === link.link_index && link_index === link.ifindex,
  );
  return peer !== undefined && (peer.master === undefined || bridges.has(peer.master));
}

/** The links of every other namespace here but the one that this container left behind, empty. */
async function otherNamespaces(network: BridgeNetwork, signal: AbortSignal): Promise<IpAddress[][]> {
  const own = await netnsOfProcess('self');
  const parked = await netnsAt(network.netns);
  const skip = new Set([
    own,
    ...(parked !== null && (await processesInside(parked)).length === 0 ? [parked] : []),
  ]);
  const places = [...(await allNamespaces())].filter(([inode]) => !skip.has(inode)).map(([, path]) => path);
  const found: IpAddress[][] = [];
  while (places.length > 0)
    // A namespace may end while it is looked at.
    found.push(
      ...(await Promise.all(places.splice(0, AT_ONCE).map((path) => linksOf(path, signal).catch(() => [])))),
    );
  return found;
}

/** Every namespace of this host, by inode: those with a path and those with a process. */
async function allNamespaces(): Promise<Map<number, string>> {
  const namespaces = new Map((await namedNetns()).map(({ inode, path }) => [inode, path]));
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  for (const path of pids.map((pid) => `/proc/${pid}/ns/net`)) {
    const inode = await stat(path).then(
      ({ ino }) => ino,
      () => null,
    );
    if (inode !== null && !namespaces.has(inode)) namespaces.set(inode, path);
  }
  return namespaces;
}

const addressesOf = ({ addr_info }: IpAddress): string[] =>
  addr_info.flatMap(({ local }) => (local === undefined ? [] : [local]));
const withoutPrefix = (prefixed: string): string => prefixed.split('/')[0] ?? prefixed;
/** Link-local addresses are made from the MAC and mean something on their own link only. */
const isRoutable = (address: string): boolean => !address.toLowerCase().startsWith('fe80:');
const isBridge = (link: IpAddress, name: string): boolean =>
  link.ifname === name && link.linkinfo?.info_kind === 'bridge';
