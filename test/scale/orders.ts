/** What the programs of `npm run scale` are told, and what they say in the end. */
import { z } from 'zod';

/** Many simulated hosts. */
export const HostsOrder = z.object({
  url: z.string(),
  dir: z.string(),
  /** Keys of the coordinators. */
  trusted: z.string(),
  hosts: z.array(z.string()),
  /** Containers that each announces. */
  containers: z.number(),
});
export type HostsOrder = z.infer<typeof HostsOrder>;

/** Who asks for migrations. */
export const AskingOrder = z.object({
  url: z.string(),
  /** State directory with its keys. */
  dir: z.string(),
  all: z.array(z.string()),
  migrations: z.number(),
});
export type AskingOrder = z.infer<typeof AskingOrder>;

export const HostsSaw = z.object({
  legs: z.number(),
  /** From the signing of a leg to its begin, milliseconds. */
  hopMs: z.array(z.number()),
  /** When the first step of a probe began, milliseconds since 1970. */
  firstMs: z.record(z.string(), z.number()),
});
export type HostsSaw = z.infer<typeof HostsSaw>;

/** Legs of a migration without pre-dump rounds and hooks, in the order in which they are asked for: two at once in the switch and at the end. */
export const ROUNDS: readonly (readonly ('source' | 'target')[])[] = [
  ...[['source'], ['target'], ['target'], ['source']],
  ...[['target', 'source'], ['target'], ['source'], ['target', 'source']],
] as const;

/** Its legs, and the migration itself. */
export const JOBS_OF_A_MIGRATION = 1 + ROUNDS.flat().length;

/** Between which hosts the migration of that number goes. */
export function sidesOf(
  at: number,
  hosts: readonly string[],
): { readonly source: string; readonly target: string } {
  const apart = 1 + (at % Math.max(1, hosts.length - 1));
  return { source: hosts[at % hosts.length] ?? '', target: hosts[(at + apart) % hosts.length] ?? '' };
}

/** BullMQ alone (bare-program.ts). */
export const BareOrder = z.object({
  url: z.string(),
  shape: z.enum(['flow', 'chain']),
  /** Hosts of this process, and all of them. */
  hosts: z.array(z.string()),
  all: z.array(z.string()),
  /** Migrations that this process asks for, counted from `first`. */
  first: z.number(),
  migrations: z.number(),
  /** Where it works on parents: how many at the same time. */
  parents: z.object({ atOnce: z.number() }).nullable(),
});
export type BareOrder = z.infer<typeof BareOrder>;

/** What the migration of that number asks for. */
export function wishOf(at: number, names: readonly string[]) {
  const sides = sidesOf(at, names);
  return { ...sides, container: `${sides.source}-c${at}` };
}
