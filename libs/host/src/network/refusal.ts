/**
 * While a container is away its host refuses packets for it instead of dropping them (nft(8), family netdev).
 *
 * A Linux peer that gets ICMP host unreachable for its retransmission undoes its back-off (RFC 6069, net/ipv4/tcp_ipv4.c
 * tcp_ld_RTO_revert; net/ipv6/tcp_ipv6.c takes `no route` only) and tries again every 204 ms for as long as it takes.
 * A connection attempt would end at once with such an answer, so SYN packets are left to be dropped and repeated.
 *
 * It only makes the gap shorter, so nothing depends on it: without nft, or on a kernel that cannot reject here, packets are dropped.
 */
import { isIPv6 } from 'node:net';
import { tryRun } from '../process.ts';
import type { BridgeNetwork } from './names.ts';

/** Rules that refuse on all other ports of the bridges, and shut the container's own links for good measure. */
export function refusalRules(
  table: string,
  network: BridgeNetwork,
  portsOf: ReadonlyMap<string, readonly string[]>,
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
        );
  });
  return `${removalRules(table)}table netdev ${table} {\n${shutChain(shut)}${chains.join('')}}\n`;
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
  `  chain shut { type filter hook ingress devices = { ${links.map(quoted).join(', ')} } priority -300; policy drop; }\n`;

function refusalChain(index: number, ports: readonly string[], addresses: readonly string[]): string {
  const rules = addresses.map((prefixed) => `    ${refusalRule(prefixed.split('/')[0] ?? '')}\n`).join('');
  const hook = `type filter hook ingress devices = { ${ports.map(quoted).join(', ')} } priority -300;`;
  return `  chain refuse${index} { ${hook}\n${rules}  }\n`;
}

const refusalRule = (address: string): string =>
  isIPv6(address)
    ? `ip6 daddr ${address} tcp flags & syn == 0 reject with icmpv6 type no-route`
    : `ip daddr ${address} tcp flags & syn == 0 reject with icmp type host-unreachable`;

const quoted = (link: string): string => `"${link}"`;
