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

export const HostsSaw = z.object({
  legs: z.number(),
  /** From the signing of a leg to its begin, milliseconds. */
  hopMs: z.array(z.number()),
  /** When the first step of a probe began, milliseconds since 1970. */
  firstMs: z.record(z.string(), z.number()),
});
export type HostsSaw = z.infer<typeof HostsSaw>;

/** As many jobs through as many queues by BullMQ alone: each job asks for the next of its chain. */
export const BareOrder = z.object({
  url: z.string(),
  /** Hosts of this process, and all of them. */
  hosts: z.array(z.string()),
  all: z.array(z.string()),
  chains: z.number(),
  jobs: z.number(),
});
export type BareOrder = z.infer<typeof BareOrder>;
