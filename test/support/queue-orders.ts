/** What a process of queue-program.ts is told, and what it says. */
import { z } from 'zod';

export const Said = z.object({
  what: z.string(),
  id: z.string(),
  at: z.number(),
  why: z.string().optional(),
});
export type Said = z.infer<typeof Said>;

export const Orders = z.object({
  role: z.enum(['coordinator', 'worker']),
  url: z.string(),
  /** Keys and ledgers. */
  dir: z.string(),
  host: z.string().default('alpha'),
  timing: z.enum(['quick', 'product']).default('quick'),
  /** Milliseconds that a leg takes. */
  legMs: z.number().default(0),
});
export type Orders = z.infer<typeof Orders>;
