/** The fleet in tables: its hosts, its migrations. */
import {
  isDrainOver,
  isEnd,
  type DrainReport,
  type HostRecord,
  type HostState,
  type MigrationReport,
} from '@cmt/contracts';
import type { FleetFacts } from '@cmt/fleet';
import { drainWords } from './drains.ts';
import type { Paint } from './paint.ts';
import { statePainted } from './report.ts';
import { table } from './table.ts';
import { size, time } from './units.ts';

/** A host and when it was last heard of. */
export interface FleetHost {
  readonly state: HostState;
  /** Milliseconds since its last announcement. */
  readonly ageMs: number;
  readonly record: HostRecord;
  /** It takes no new container. */
  readonly drained?: boolean;
  /** Migrations under way to it and from it. */
  readonly arriving?: number;
  readonly leaving?: number;
  /** A drain, or a way back, that is under way. */
  readonly order?: { readonly id: string; readonly words: string } | null;
}

interface Named {
  readonly name: string;
}

/** Adds what is under way to who is there. */
export const withTraffic = (
  { hosts, drained, traffic }: Omit<FleetFacts, 'hosts'> & { readonly hosts: readonly (FleetHost & Named)[] },
  drains: readonly DrainReport[],
): (FleetHost & Named)[] =>
  hosts.map((host) => {
    const under = drains.find((report) => report.host === host.name && !isDrainOver(report));
    const { arriving, leaving = 0 } = traffic.get(host.name) ?? {};
    return {
      ...host,
      ...{ drained: drained[host.name] !== undefined, arriving: arriving?.count ?? 0, leaving },
      order: under ? { id: under.id, words: drainWords(under) } : null,
    };
  });

/** `online`, `offline (2 min)`, and whether it is closed. */
function stateWords({ state, ageMs, drained = false, order }: FleetHost): string {
  const seen = state === 'online' ? state : `${state} (${time(ageMs)})`;
  const closed = order?.words ?? (drained ? 'drained' : null);
  return closed === null ? seen : `${seen}, ${closed}`;
}

const trafficWords = ({ arriving = 0, leaving = 0 }: FleetHost): string =>
  [...(arriving > 0 ? [`${arriving} in`] : []), ...(leaving > 0 ? [`${leaving} out`] : [])].join(', ') || '-';

export function hostsText(hosts: readonly FleetHost[], paint: Paint): string {
  const facts = ({ record }: FleetHost) => record.facts;
  const pairs = (values: object, mark: string) =>
    Object.entries(values)
      .map((pair) => pair.join(mark))
      .join(', ');
  const criu = (host: FleetHost) =>
    [facts(host).criu ?? 'none', ...(facts(host).criuProblem ? [facts(host).criuProblem] : [])].join(': ');
  const usable = (host: FleetHost) => facts(host).criu !== null && facts(host).criuProblem === null;
  return table(
    hosts,
    [
      { title: 'HOST', cell: (host) => facts(host).name },
      { title: 'ADDRESS', cell: ({ record }) => record.endpoint.address },
      {
        title: 'STATE',
        cell: stateWords,
        paint: (text, { state, drained = false }) =>
          state !== 'online' ? paint.red(text) : drained ? paint.yellow(text) : paint.green(text),
      },
      { title: 'CONTAINERS', cell: ({ record }) => String(record.containers.length) },
      { title: 'MOVES', cell: trafficWords },
      {
        title: 'MEMORY FREE',
        cell: (host) => `${size(facts(host).memoryAvailable)} of ${size(facts(host).memoryTotal)}`,
      },
      { title: 'IMAGES FREE', cell: (host) => size(facts(host).imagesFree) },
      { title: 'CPUS', cell: (host) => String(facts(host).cpus) },
      { title: 'KERNEL', cell: (host) => facts(host).kernel },
      { title: 'CRIU', cell: criu, paint: (text, host) => (usable(host) ? text : paint.red(text)) },
      { title: 'RUNTIMES', cell: (host) => pairs(facts(host).runtimes, ' ') },
      { title: 'CMT', cell: ({ record }) => record.cmtVersion },
      { title: 'LABELS', cell: ({ record }) => pairs(record.labels, '=') },
    ],
    paint,
  );
}

export const migrationsText = (reports: readonly MigrationReport[], now: number, paint: Paint): string =>
  table(
    reports,
    [
      { title: 'MIGRATION', cell: ({ id }) => id },
      { title: 'CONTAINER', cell: ({ container }) => container },
      { title: 'FROM', cell: ({ from }) => from },
      { title: 'TO', cell: ({ to }) => to },
      {
        title: 'STATE',
        cell: ({ state, step, waitsFor }) =>
          waitsFor !== undefined ? `${state} (waits)` : step && !isEnd(state) ? `${state} (${step})` : state,
        paint: (text, { state }) => statePainted(state, paint, text),
      },
      { title: 'BLACKOUT', cell: ({ blackoutMs }) => (blackoutMs === null ? '-' : time(blackoutMs)) },
      { title: 'ASKED', cell: ({ request }) => `${time(Math.max(0, now - request.requestedAt))} ago` },
      { title: 'FAILURE', cell: ({ failure }) => failure?.code ?? '' },
    ],
    paint,
  );
