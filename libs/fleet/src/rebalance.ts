/** Moves that would even out the memory in use. Proposals only. Pure. */
import type { ContainerSummary, HostName } from '@cmt/contracts';
import { rankTargets } from './rank.ts';
import { needsOf, type Candidate } from './verdict.ts';

export interface Proposal {
  readonly container: string;
  readonly runtime: ContainerSummary['runtime'];
  readonly from: HostName;
  readonly to: HostName;
  /** Bytes that move. */
  readonly memory: number;
  /** Share of memory in use, before and after, 0 to 1. */
  readonly fromUse: readonly [before: number, after: number];
  readonly toUse: readonly [before: number, after: number];
}

/** Shares of memory in use that lie closer together than this are even enough to leave running containers alone. */
const EVEN = 0.1;
const MOST_PROPOSALS = 20;

/** The moves in order, each reckoned on what those before it have changed. */
export function rebalance(hosts: readonly Candidate[]): Proposal[] {
  const proposals: Proposal[] = [];
  let fleet = hosts.filter(({ state, drained }) => state === 'online' && !drained);
  while (proposals.length < MOST_PROPOSALS) {
    const next = best(fleet, proposals);
    if (next === undefined) break;
    proposals.push(next);
    fleet = fleet.map((host) => moved(host, next));
  }
  return proposals;
}

/** The move from the fullest host that leaves the two of them the least apart. */
function best(fleet: readonly Candidate[], before: readonly Proposal[]): Proposal | undefined {
  const source = [...fleet].sort((a, b) => use(b) - use(a))[0];
  if (source === undefined) return undefined;
  const isSettled = (id: string) => before.some(({ container }) => container === id);
  return source.record.containers
    .filter(({ id, status, memory }) => status === 'running' && (memory ?? 0) > 0 && !isSettled(id))
    .flatMap((container) => proposalsFor(source, container, fleet))
    .sort((a, b) => apart(a) - apart(b) || a.container.localeCompare(b.container))
    .find((proposal) => use(source) - proposal.toUse[0] > EVEN && isBetter(proposal));
}

function proposalsFor(
  source: Candidate,
  container: ContainerSummary,
  fleet: readonly Candidate[],
): Proposal[] {
  const { id, runtime, memory = 0 } = container;
  const wish = { runtime, place: { labels: {}, avoid: [] }, force: false };
  return rankTargets(needsOf(source.record, id, wish), fleet)
    .filter(({ fits }) => fits)
    .flatMap((verdict) => fleet.filter(({ name }) => name === verdict.host))
    .map((target) => ({
      ...{ container: id, runtime, from: source.name, to: target.name, memory },
      fromUse: [use(source), use(source, -memory)],
      toUse: [use(target), use(target, memory)],
    }));
}

const isBetter = ({ fromUse, toUse }: Proposal): boolean => Math.max(fromUse[1], toUse[1]) < fromUse[0];
const apart = ({ fromUse, toUse }: Proposal): number => Math.abs(fromUse[1] - toUse[1]);

function use({ record: { facts }, arriving }: Candidate, more = 0): number {
  const used = facts.memoryTotal - facts.memoryAvailable + arriving.memory + more;
  return used / Math.max(1, facts.memoryTotal);
}

function moved(host: Candidate, { container, runtime, from, to, memory }: Proposal): Candidate {
  if (host.name !== from && host.name !== to) return host;
  const { facts, containers } = host.record;
  const isIt = (one: ContainerSummary) => one.id === container && one.runtime === runtime;
  const gone = containers.filter((one) => !isIt(one));
  const come: ContainerSummary = { id: container, runtime, status: 'running', bundle: '', pid: 0, memory };
  const way = host.name === from ? 1 : -1;
  return {
    ...host,
    record: {
      ...host.record,
      facts: { ...facts, memoryAvailable: facts.memoryAvailable + way * memory },
      containers: host.name === from ? gone : [...gone, come],
    },
  };
}
