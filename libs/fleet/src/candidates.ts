/** Hosts as placing sees them, put together from what was announced, set and begun. Pure. */
import type { HostName, HostRecord, HostState, Limits } from '@cmt/contracts';
import type { Candidate } from './verdict.ts';

/** What is known about the fleet at one moment. */
export interface FleetFacts {
  readonly hosts: readonly {
    readonly name: HostName;
    readonly state: HostState;
    readonly record: HostRecord;
  }[];
  /** Drained hosts, each with the drain that closed it. */
  readonly drained: Readonly<Record<HostName, string>>;
  readonly traffic: ReadonlyMap<HostName, Pick<Candidate, 'arriving' | 'leaving'>>;
  readonly limits: Limits;
}

const QUIET = { arriving: { count: 0, memory: 0 }, leaving: 0 };

export const candidatesOf = ({ hosts, drained, traffic, limits }: FleetFacts): Candidate[] =>
  hosts.map(({ name, state, record }) => ({
    ...{ name, state, record, drained: drained[name] !== undefined },
    ...(traffic.get(name) ?? QUIET),
    maxArriving: limits.hosts[name]?.in ?? limits.in,
  }));
