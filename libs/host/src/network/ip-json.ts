/** The parts of `ip -j -d …` that cmt reads (iproute2: ip/ipaddress.c, ip/iproute.c, ip/ipneigh.c). */
import { z } from 'zod';

export const IpAddress = z.object({
  ifindex: z.int(),
  ifname: z.string(),
  /** Interface index of the other end of a veth pair. */
  link_index: z.int().optional(),
  /** Present when the other end is in another namespace. */
  link_netnsid: z.int().optional(),
  flags: z.array(z.string()),
  mtu: z.int(),
  address: z.string().optional(),
  /** Name of the bridge it is a port of. */
  master: z.string().optional(),
  group: z.string().optional(),
  linkinfo: z.object({ info_kind: z.string().optional(), info_slave_kind: z.string().optional() }).optional(),
  addr_info: z
    .array(z.object({ local: z.string().optional(), prefixlen: z.int(), scope: z.string().optional() }))
    .default([]),
});
export type IpAddress = z.infer<typeof IpAddress>;

export const IpRoute = z.object({
  type: z.string().default('unicast'),
  dst: z.string(),
  gateway: z.string().optional(),
  dev: z.string().optional(),
  protocol: z.string().optional(),
  prefsrc: z.string().optional(),
  metric: z.int().optional(),
  flags: z.array(z.string()).default([]),
});
export type IpRoute = z.infer<typeof IpRoute>;

export const IpNeighbour = z.object({
  dst: z.string(),
  dev: z.string(),
  lladdr: z.string().optional(),
  state: z.array(z.string()).default([]),
});
export type IpNeighbour = z.infer<typeof IpNeighbour>;

/** Everything that `describe` reads in one namespace. */
export interface NetnsContent {
  readonly links: readonly IpAddress[];
  readonly routes4: readonly IpRoute[];
  readonly routes6: readonly IpRoute[];
  readonly neighbours: readonly IpNeighbour[];
}

/** An interface that plays no part: the loopback, and the templates of tunnels that the kernel puts into every namespace. */
export const isIdle = ({ ifname, flags, addr_info }: IpAddress): boolean =>
  ifname === 'lo' || (!flags.includes('UP') && addr_info.length === 0);
