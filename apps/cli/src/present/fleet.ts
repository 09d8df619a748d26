/** The fleet in tables: its hosts, its containers, its migrations. */
import { isEnd, type HostRecord, type MigrationReport, type MigrationState } from '@cmt/contracts';
import type { Paint } from './paint.ts';
import { statePainted } from './report.ts';
import { table } from './table.ts';
import { size, time } from './units.ts';

/** A host and when it was last heard of. */
export interface FleetHost {
  readonly state: 'online' | 'unreachable' | 'offline';
  /** Milliseconds since its last announcement. */
  readonly ageMs: number;
  readonly record: HostRecord;
}

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
        cell: ({ state, ageMs }) => (state === 'online' ? state : `${state} (${time(ageMs)})`),
        paint: (text, { state }) => (state === 'online' ? paint.green(text) : paint.red(text)),
      },
      { title: 'CONTAINERS', cell: ({ record }) => String(record.containers.length) },
      { title: 'MEMORY FREE', cell: (host) => size(facts(host).memoryAvailable) },
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

/** A container on the host that announced it, and the migration it is in. */
export interface FleetContainer {
  readonly host: string;
  readonly id: string;
  readonly runtime: string;
  readonly status: string;
  readonly bundle: string;
  readonly migration: { readonly id: string; readonly state: MigrationState; readonly to: string } | null;
}

/** Joins what workers announce with the migrations under way. */
export const containersOf = (
  hosts: readonly FleetHost[],
  reports: readonly MigrationReport[],
): FleetContainer[] =>
  hosts.flatMap(({ record: { facts, containers } }) =>
    containers.map(({ id, runtime, status, bundle }) => {
      const under = reports.find(
        ({ state, container, from, to }) =>
          !isEnd(state) && container === id && [from, to].includes(facts.name),
      );
      const migration = under ? { id: under.id, state: under.state, to: under.to } : null;
      return { host: facts.name, id, runtime, status, bundle, migration };
    }),
  );

export const containersText = (containers: readonly FleetContainer[], paint: Paint): string =>
  table(
    containers,
    [
      { title: 'CONTAINER', cell: ({ id }) => id },
      { title: 'HOST', cell: ({ host }) => host },
      { title: 'RUNTIME', cell: ({ runtime }) => runtime },
      { title: 'STATUS', cell: ({ status }) => status },
      {
        title: 'MIGRATION',
        cell: ({ migration: under }) => (under ? `${under.id} (${under.state}, to ${under.to})` : '-'),
      },
      { title: 'BUNDLE', cell: ({ bundle }) => bundle },
    ],
    paint,
  );

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
        cell: ({ state, step }) => (step && !isEnd(state) ? `${state} (${step})` : state),
        paint: (text, { state }) => statePainted(state, paint, text),
      },
      { title: 'BLACKOUT', cell: ({ blackoutMs }) => (blackoutMs === null ? '-' : time(blackoutMs)) },
      { title: 'ASKED', cell: ({ request }) => `${time(Math.max(0, now - request.requestedAt))} ago` },
      { title: 'FAILURE', cell: ({ failure }) => failure?.code ?? '' },
    ],
    paint,
  );
