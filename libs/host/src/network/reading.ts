/** What `ip` shows of a container's namespace and of its host, turned into a ContainerNetwork. Pure. */
import { isIP, isIPv6 } from 'node:net';
import type { ContainerLink, ContainerRoute, Neighbour } from '@cmt/contracts';
import type { IpAddress, IpNeighbour, IpRoute } from './ip-json.ts';

/** A link as cmt can carry it, or why it cannot. */
export type LinkReading = { readonly link: ContainerLink } | { readonly problem: string };

/** One link of a container, its other end looked up among the host's links. */
export function readLink(inside: IpAddress, hostLinks: readonly IpAddress[]): LinkReading {
  const { ifname, address, linkinfo } = inside;
  if (linkinfo?.info_kind !== 'veth' || address === undefined)
    return { problem: `${ifname} is of type ${linkinfo?.info_kind ?? 'physical'}, only veth can be carried` };
  const peer = hostLinks.find(
    (link) => link.ifindex === inside.link_index && link.link_index === inside.ifindex && isVeth(link),
  );
  if (peer === undefined) return { problem: `the other end of ${ifname} is not on this host` };
  if (peer.master === undefined || peer.linkinfo?.info_slave_kind !== 'bridge')
    return { problem: `${peer.ifname}, the other end of ${ifname}, is on no bridge` };
  const addresses = inside.addr_info.flatMap(({ local, prefixlen }) =>
    local === undefined ? [] : [`${local}/${prefixlen}`],
  );
  return {
    link: {
      name: ifname,
      mac: address,
      mtu: inside.mtu,
      addresses,
      hostLink: peer.ifname,
      bridge: peer.master,
      ...(peer.group === undefined || peer.group === 'default' ? {} : { hostGroup: peer.group }),
    },
  };
}

/** The routes that somebody set: those that addresses bring along come back with the addresses. */
export function readRoutes(
  routes: readonly IpRoute[],
  family: 4 | 6,
  links: readonly string[],
): ContainerRoute[] {
  return routes.flatMap((route) => {
    const { dev, dst, gateway, prefsrc, metric } = route;
    if (route.type !== 'unicast' || route.protocol === 'kernel' || dev === undefined || !links.includes(dev))
      return [];
    return [
      {
        to: withPrefix(dst, family),
        dev,
        ...(gateway === undefined ? {} : { via: gateway }),
        ...(prefsrc === undefined ? {} : { src: prefsrc }),
        ...(metric === undefined ? {} : { metric }),
        ...(route.flags.includes('onlink') ? { onlink: true } : {}),
      },
    ];
  });
}

/** The peers that are known well enough to send to. */
export function readNeighbours(neighbours: readonly IpNeighbour[], links: readonly string[]): Neighbour[] {
  const usable = ['REACHABLE', 'STALE', 'DELAY', 'PROBE', 'PERMANENT'];
  return neighbours.flatMap(({ dst, dev, lladdr, state }) =>
    lladdr === undefined || !links.includes(dev) || !state.some((word) => usable.includes(word))
      ? []
      : [{ address: dst, mac: lladdr, dev, ...(state.includes('PERMANENT') ? { permanent: true } : {}) }],
  );
}

function withPrefix(destination: string, family: 4 | 6): string {
  if (destination === 'default') return family === 4 ? '0.0.0.0/0' : '::/0';
  if (isIP(destination) === 0) return destination;
  return `${destination}/${isIPv6(destination) ? 128 : 32}`;
}

const isVeth = (link: IpAddress): boolean => link.linkinfo?.info_kind === 'veth';
