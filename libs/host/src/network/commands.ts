/** The commands of ip(8) that make, join and cut a container's links. Pure; every word was checked by the contract. */
import { isIPv6 } from 'node:net';
import type { ContainerLink, ContainerRoute, Neighbour } from '@cmt/contracts';
import { builtHostLink, CUT_GROUP, type BridgeNetwork } from './names.ts';

/** On the host: each link as a veth pair, one end in the namespace. */
export const makeLinks = (network: BridgeNetwork): string[] =>
  network.links.map((link) => {
    const { name, mac, mtu } = link;
    const peer = `peer name ${name} mtu ${mtu} address ${mac} netns ${network.netns}`;
    return `link add name ${builtHostLink(network, link)} mtu ${mtu} type veth ${peer}`;
  });

/** On the host: the built ends up, on no bridge yet. */
export const raiseHostLinks = (network: BridgeNetwork): string[] =>
  network.links.map((link) => `link set ${builtHostLink(network, link)} up`);

/** In the namespace: everything that a restore needs to find its connections' routes. */
export const furnish = (network: BridgeNetwork): string[] => [
  'link set lo up',
  ...network.links.flatMap(addAddresses),
  ...network.links.map(({ name }) => `link set ${name} up`),
  // Those without a gateway first: they make the gateways reachable.
  ...network.routes.filter(({ via }) => via === undefined).map(addRoute),
  ...network.routes.filter(({ via }) => via !== undefined).map(addRoute),
  ...network.neighbours.map(addNeighbour),
];

/** On the host: the built links joined to their bridges. */
export const joinBuilt = (network: BridgeNetwork): string[] =>
  network.links.map((link) => `link set ${builtHostLink(network, link)} master ${link.bridge}`);

/**
 * In the namespace: makes the kernel ask for the container's own addresses, which tells the whole segment where they
 * are: a gratuitous ARP request for IPv4, for IPv6 a solicitation that teaches the switches. Three times, a second apart.
 */
export const announce = (network: BridgeNetwork): string[] =>
  network.links.flatMap(({ name, addresses }) =>
    addresses.map((prefixed) => `neigh replace ${prefixed.split('/')[0] ?? ''} dev ${name} use`),
  );

/**
 * On the source: its links cut, by the names they have there, and marked as cut for the fence's rules; and the bridge forgets where
 * the container was, so that what is kept for it waits until it is found again.
 */
export const cut = (network: BridgeNetwork): string[] =>
  network.links.flatMap(({ hostLink, bridge, addresses }) => [
    `link set ${hostLink} nomaster group ${CUT_GROUP}`,
    ...addresses.map((prefixed) => `neigh del ${prefixed.split('/')[0] ?? ''} dev ${bridge}`),
  ]);
export const rejoin = (network: BridgeNetwork): string[] =>
  network.links.map(
    ({ hostLink, bridge, hostGroup = 'default' }) =>
      `link set ${hostLink} master ${bridge} group ${hostGroup}`,
  );

/** In the namespace: each link away, and its other end with it. */
export const deleteLinks = (network: BridgeNetwork): string[] =>
  network.links.map(({ name }) => `link del ${name}`);

/** Without duplicate detection: the source still has the address, and it must be usable at once. */
const addAddresses = ({ name, addresses }: ContainerLink): string[] =>
  addresses.map((address) => `addr add ${address} dev ${name}${address.includes(':') ? ' nodad' : ' brd +'}`);

function addRoute({ to, via, dev, src, metric, onlink }: ContainerRoute): string {
  const gateway = via === undefined ? '' : ` via ${to.includes(':') || !isIPv6(via) ? '' : 'inet6 '}${via}`;
  const options = [
    src === undefined ? '' : ` src ${src}`,
    metric === undefined ? '' : ` metric ${metric}`,
    onlink === true ? ' onlink' : '',
  ];
  return `route replace ${to}${gateway} dev ${dev}${options.join('')}`;
}

/** `stale` is used at once and checked behind: a restored container must not wait for an answer from each peer. */
const addNeighbour = ({ address, mac, dev, permanent }: Neighbour): string =>
  `neigh replace ${address} lladdr ${mac} dev ${dev} nud ${permanent === true ? 'permanent' : 'stale'}`;
