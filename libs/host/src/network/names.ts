/** Names of what cmt makes on a host: each follows from the container's namespace alone, so that it is found after a crash. */
import { createHash } from 'node:crypto';
import type { ContainerLink, ContainerNetwork } from '@cmt/contracts';

export type BridgeNetwork = Extract<ContainerNetwork, { kind: 'bridge' }>;

/** Name of a built link's end on the host: 15 characters, the longest that Linux takes (IFNAMSIZ). */
export const builtHostLink = (network: BridgeNetwork, link: ContainerLink): string =>
  `cmt${digest(`${network.netns}\0${link.name}`)}`;

/** Name of the nftables table that stands for a fenced container. */
export const fenceTable = (network: BridgeNetwork): string => `cmt_${digest(network.netns)}`;

/** Link group of what a fence has cut: a number that nobody else is likely to use ("cmt" in ASCII). */
export const CUT_GROUP = 0x636d74;

const digest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12);
