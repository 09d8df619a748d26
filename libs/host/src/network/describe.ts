/** The network of a running container: which namespace, by which path, and what is in it. Changes nothing. */
import { z } from 'zod';
import { CmtError, ContainerNetwork } from '@cmt/contracts';
import { IpAddress, IpNeighbour, IpRoute, isIdle, type NetnsContent } from './ip-json.ts';
import { ipJson, type Netns } from './ip.ts';
import { namedNetns, netnsOfProcess } from './netns.ts';
import { readLink, readNeighbours, readRoutes, type LinkReading } from './reading.ts';
import type { BridgeNetwork } from './names.ts';
import { readSysctls, type Sysctls } from './sysctls.ts';

const Links = z.array(IpAddress);
const Routes = z.array(IpRoute);

/**
 * @param pid init of the container, as this process sees it
 * @throws CmtError NETWORK_UNSUPPORTED when cmt cannot make such a network on another host
 */
export async function describeNetwork(
  host: string,
  pid: number,
  signal: AbortSignal,
): Promise<ContainerNetwork> {
  const inode = await netnsOfProcess(pid);
  if (inode === (await netnsOfProcess('self'))) return { kind: 'host' };
  const [path, content, hostLinks] = await Promise.all([
    pathOf(inode),
    contentOf(`/proc/${pid}/ns/net`, signal),
    linksOf(null, signal),
  ]);
  const links = content.links.filter((link) => !isIdle(link));
  const sysctls = path === null ? {} : await changedSettings(path, links, signal);
  if (links.length === 0) return { kind: 'none', ...(path === null ? {} : { netns: path, ...sysctls }) };
  const refuse = (reason: string): CmtError =>
    new CmtError('NETWORK_UNSUPPORTED', { host, container: `process ${pid}`, reason });
  if (path === null) throw refuse('its network namespace has no path');
  const readings = links.map((link) => readLink(link, hostLinks));
  return { ...bridgeNetwork(path, content, readings, refuse), ...sysctls };
}

/** The links of a namespace with their addresses. */
export const linksOf = (netns: Netns, signal: AbortSignal): Promise<IpAddress[]> =>
  ipJson(netns, ['-d', 'addr'], Links, signal);

function bridgeNetwork(
  netns: string,
  content: NetnsContent,
  readings: readonly LinkReading[],
  refuse: (reason: string) => CmtError,
): BridgeNetwork {
  const links = readings.map((reading) => {
    if ('problem' in reading) throw refuse(reading.problem);
    return reading.link;
  });
  const names = links.map(({ name }) => name);
  const network: unknown = {
    kind: 'bridge',
    netns,
    links,
    routes: [...readRoutes(content.routes4, 4, names), ...readRoutes(content.routes6, 6, names)],
    neighbours: readNeighbours(content.neighbours, names),
  };
  const checked = ContainerNetwork.safeParse(network);
  if (checked.success && checked.data.kind === 'bridge') return checked.data;
  throw refuse(checked.error === undefined ? 'it is not on a bridge' : z.prettifyError(checked.error));
}

/** Settings of the namespace that somebody changed, if there are any. */
async function changedSettings(
  netns: string,
  links: readonly IpAddress[],
  signal: AbortSignal,
): Promise<{ sysctls?: Sysctls }> {
  const sysctls = await readSysctls(
    netns,
    links.map(({ ifname }) => ifname),
    signal,
  );
  return Object.keys(sysctls).length === 0 ? {} : { sysctls };
}

async function contentOf(netns: string, signal: AbortSignal): Promise<NetnsContent> {
  const [links, routes4, routes6, neighbours] = await Promise.all([
    linksOf(netns, signal),
    ipJson(netns, ['-d', '-4', 'route'], Routes, signal),
    ipJson(netns, ['-d', '-6', 'route'], Routes, signal),
    ipJson(netns, ['neigh'], z.array(IpNeighbour), signal),
  ]);
  return { links, routes4, routes6, neighbours };
}

/** The shortest of its paths: `ip netns add` mounts below /run/netns, whatever else is bound elsewhere. */
async function pathOf(inode: number): Promise<string | null> {
  const paths = (await namedNetns()).filter((named) => named.inode === inode).map(({ path }) => path);
  return paths.sort((a, b) => a.length - b.length)[0] ?? null;
}
