/** The containers of the fleet in a table, each with the migration it is in. */
import { isEnd, type MigrationReport, type MigrationState } from '@cmt/contracts';
import type { ContainersOfHost } from '@cmt/queue/look';
import type { Paint } from './paint.ts';
import { table } from './table.ts';
import { size } from './units.ts';

/** A container on the host that announced it, and the migration it is in. */
export interface FleetContainer {
  readonly host: string;
  readonly id: string;
  readonly runtime: string;
  readonly status: string;
  readonly bundle: string;
  /** Bytes; null where it cannot be told. */
  readonly memory: number | null;
  readonly migration: { readonly id: string; readonly state: MigrationState; readonly to: string } | null;
}

/** Joins what workers announce with the migrations under way. */
export function containersOf(
  hosts: readonly ContainersOfHost[],
  reports: readonly MigrationReport[],
): FleetContainer[] {
  const under = new Map<string, FleetContainer['migration']>();
  for (const { id, state, container, from, to } of reports)
    if (!isEnd(state)) for (const host of [from, to]) under.set(`${host}/${container}`, { id, state, to });
  return hosts.flatMap(({ record: { facts, containers } }) =>
    containers.map(({ id, runtime, status, bundle, memory = null }) => ({
      ...{ host: facts.name, id, runtime, status, bundle, memory },
      migration: under.get(`${facts.name}/${id}`) ?? null,
    })),
  );
}

export const containersText = (containers: readonly FleetContainer[], paint: Paint): string =>
  table(
    containers,
    [
      { title: 'CONTAINER', cell: ({ id }) => id },
      { title: 'HOST', cell: ({ host }) => host },
      { title: 'RUNTIME', cell: ({ runtime }) => runtime },
      { title: 'STATUS', cell: ({ status }) => status },
      { title: 'MEMORY', cell: ({ memory }) => (memory === null ? '-' : size(memory)) },
      {
        title: 'MIGRATION',
        cell: ({ migration: under }) => (under ? `${under.id} (${under.state}, to ${under.to})` : '-'),
      },
      { title: 'BUNDLE', cell: ({ bundle }) => bundle },
    ],
    paint,
  );
