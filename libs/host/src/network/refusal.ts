/**
 * While a container is away its host refuses packets for it instead of dropping them, and keeps a copy of each until the container
 * is found again (nft(8), family netdev).
 *
 * Refused: a Linux peer that gets ICMP host unreachable for its retransmission undoes its back-off (RFC 6069, net/ipv4/tcp_ipv4.c
 * tcp_ld_RTO_revert; net/ipv6/tcp_ipv6.c takes `no route` only) and tries again every 204 ms for as long as it takes.
 * A connection attempt would end at once with such an answer, so SYN packets are not refused.
 *
 * Kept: the copy goes by way of the loopback device, the one place where a second rule can take it, to the neighbour queue of the
 * bridge (`fwd`, net/netfilter/nft_fwd_netdev.c; net/core/neighbour.c). The kernel asks for the address, which nobody has; it sends
 * what it keeps as soon as the container announces itself, here or on another host of the segment. The queue holds the newest 208 KiB,
 * and forgets them when nobody has answered for three seconds; the next retransmission begins it anew.
 *
 * It only makes the gap shorter, so nothing depends on it: without nft, or on a kernel that cannot do it here, packets are dropped.
 */
import { isIPv6 } from 'node:net';
import { tryRun } from '../process.ts';
import { CUT_GROUP, type BridgeNetwork } from './names.ts';

/**
 * Rules that refuse on all other ports of the bridges, and shut the container's own links for good measure once they are cut: a host
 * would pass on what it finds addressed to itself.
 */
export function refusalRules(
  table: string,
  network: BridgeNetwork,
  portsOf: ReadonlyMap<string, readonly string[]>,
  keep: boolean,
): string {
  const shut = network.links.map(({ hostLink }) => hostLink);
  const chains = [...new Set(network.links.map(({ bridge }) => bridge))].map((bridge, index) => {
    const ports = (portsOf.get(bridge) ?? []).filter((port) => !shut.includes(port));
    const links = network.links.filter((link) => link.bridge === bridge);
    return ports.length === 0
      ? ''
      : refusalChain(
          index,
          ports,
          links.flatMap(({ addresses }) => addresses),
          keep,
        );
  });
  const kept = keep ? keepingChain(network) : '';
  return `${removalRules(table)}table netdev ${table} {\n${shutChain(shut)}${chains.join('')}${kept}}\n`;
}

/** Rules that remove the table, whether it is there or not. */
export const removalRules = (table: string): string =>
  `add table netdev ${table}\ndelete table netdev ${table}\n`;

/** @returns whether the rules are in force; a transaction of nft is all or nothing. */
export async function applyRules(rules: string, signal: AbortSignal): Promise<boolean> {
  const finished = await tryRun('nft', ['-f', '-'], { timeoutMs: 10_000, signal, input: rules }).catch(
    () => null,
  );
  return finished?.code === 0;
}

const shutChain = (links: readonly string[]): string =>
  `  chain shut { type filter hook ingress devices = { ${links.map(quoted).join(', ')} } priority -300; meta iifgroup ${CUT_GROUP} drop; }\n`;

function refusalChain(
  index: number,
  ports: readonly string[],
  addresses: readonly string[],
  keep: boolean,
): string {
  const rules = addresses
    .map(bare)
    .flatMap((address) => [
      ...(keep ? [`${sentTo(address)} dup to "lo"`] : []),
      `${sentTo(address)} tcp flags & syn == 0 reject with ${isIPv6(address) ? 'icmpv6 type no-route' : 'icmp type host-unreachable'}`,
      ...(keep ? [`${sentTo(address)} drop`] : []),
    ]);
  const hook = `type filter hook ingress devices = { ${ports.map(quoted).join(', ')} } priority -300;`;
  return `  chain refuse${index} { ${hook}\n${rules.map((rule) => `    ${rule}\n`).join('')}  }\n`;
}

/** To the queue of a neighbour that is not known now. */
function keepingChain(network: BridgeNetwork): string {
  const rules = network.links.flatMap(({ bridge, addresses }) =>
    addresses.map(bare).map((address) => {
      const family = isIPv6(address) ? 'ip6' : 'ip';
      return `    ${sentTo(address)} fwd ${family} to ${address} device ${quoted(bridge)}\n`;
    }),
  );
  return `  chain keep { type filter hook ingress devices = { "lo" } priority -300;\n${rules.join('')}  }\n`;
}

const bare = (prefixed: string): string => prefixed.split('/')[0] ?? '';
const sentTo = (address: string): string => `${isIPv6(address) ? 'ip6' : 'ip'} daddr ${address}`;

const quoted = (link: string): string => `"${link}"`;
