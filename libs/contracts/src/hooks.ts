/** Hooks: programs of the user that run at fixed points of a migration. */
import { z } from 'zod';

export const HookName = z.enum([
  'pre-freeze',
  'pre-restore',
  'post-restore',
  'failed-restore',
  'rolled-back',
]);
export type HookName = z.infer<typeof HookName>;

/** Where a hook runs: beside the coordinator, or on one of the two hosts. */
export const HookPlace = z.enum(['coordinator', 'source', 'target']);
export type HookPlace = z.infer<typeof HookPlace>;

export const Hook = z.object({
  name: HookName,
  place: HookPlace.default('coordinator'),
  /** Program and arguments; never a shell string. */
  argv: z.array(z.string().max(4096)).min(1).max(64),
  /** Milliseconds until it is killed and counts as failed. */
  timeoutMs: z.int().positive().max(600_000).default(30_000),
});
export type Hook = z.infer<typeof Hook>;

/** How a hook ended; `output` is the tail of both streams. */
export const HookOutcome = z.object({
  name: HookName,
  ok: z.boolean(),
  code: z.int().nullable(),
  output: z.string(),
  ms: z.number(),
});
export type HookOutcome = z.infer<typeof HookOutcome>;
