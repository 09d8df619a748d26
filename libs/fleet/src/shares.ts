/**
 * Who gets what of links that several migrations use: max-min fair shares, as routers and hypervisors hand them out. Pure.
 *
 * A link is a host's connection to the network, each way by itself: what leaves a host shares one limit, what goes to it another.
 *
 * INVARIANTS
 * - The shares of a link are never more than its limit together, unless that is less than SMALLEST for each of them.
 * - Nobody can get more without somebody who has no more than he getting less: what one may not use the others get.
 */
import type { HostName, Limits, MigrationId } from '@cmt/contracts';

/** One migration that sends bytes, or is about to. */
export interface Flow {
  readonly id: MigrationId;
  readonly source: HostName;
  readonly target: HostName;
  /** Bytes per second that it may take by itself (`--bandwidth`), or null. */
  readonly cap: number | null;
}

/** Bytes per second; null: none of its links has a limit. */
export type Shares = ReadonlyMap<MigrationId, number | null>;

/** Bytes per second that everybody gets: fewer would look like a transfer that stands still. */
export const SMALLEST = 64 * 1024;

interface Link {
  readonly flows: readonly Flow[];
  readonly limit: number;
}

/** Whether any link has a limit. */
export const hasLinkLimits = ({ bandwidth, hosts }: Limits): boolean =>
  bandwidth !== null || Object.values(hosts).some((own) => own.bandwidth !== undefined);

/** The share of each migration. */
export function sharesOf(flows: readonly Flow[], limits: Limits): Shares {
  const links = linksOf(flows, limits);
  const shares = new Map<MigrationId, number | null>(flows.map(({ id }) => [id, null]));
  const open = new Set(links.flatMap((link) => link.flows));
  while (open.size > 0) {
    const level = Math.min(...links.map((link) => levelOf(link, open, shares)), ...[...open].map(capOf));
    for (const flow of settledAt(level, links, open, shares)) {
      open.delete(flow);
      shares.set(flow.id, Math.max(SMALLEST, Math.floor(level)));
    }
  }
  return shares;
}

/** The links that have a limit, each with those that use it. */
function linksOf(flows: readonly Flow[], { bandwidth, hosts }: Limits): Link[] {
  const limitOf = (host: HostName): number => hosts[host]?.bandwidth ?? bandwidth ?? Infinity;
  return (['source', 'target'] as const).flatMap((end) =>
    [...new Set(flows.map((flow) => flow[end]))]
      .filter((host) => limitOf(host) < Infinity)
      .map((host) => ({ flows: flows.filter((flow) => flow[end] === host), limit: limitOf(host) })),
  );
}

const capOf = ({ cap }: Flow): number => cap ?? Infinity;

/** What each of a link's open flows would get if all of them got the same. */
function levelOf({ flows, limit }: Link, open: ReadonlySet<Flow>, shares: Shares): number {
  const waiting = flows.filter((flow) => open.has(flow)).length;
  const given = flows.reduce((sum, flow) => sum + (open.has(flow) ? 0 : (shares.get(flow.id) ?? 0)), 0);
  return waiting === 0 ? Infinity : (limit - given) / waiting;
}

/** Those who can get no more than that: it is all that they may take, or all that a link of theirs has left. */
function settledAt(level: number, links: readonly Link[], open: ReadonlySet<Flow>, shares: Shares): Flow[] {
  const full = links.filter((link) => levelOf(link, open, shares) <= level);
  const atLimit = new Set(full.flatMap(({ flows }) => flows));
  return [...open].filter((flow) => atLimit.has(flow) || capOf(flow) <= level);
}
