/** A failure of the catalogue on its way: as data between processes, and as the one error class within them. */
import { z } from 'zod';
import { catalogue, ErrorCode } from './errors.ts';
import type { Reaction } from './reaction.ts';

/** A failure as it travels: a code, what fills its sentence, and the tail of a log where one explains more. */
export const Failure = z.object({
  code: ErrorCode,
  details: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
  /** Last lines of the tool's own log, at most 4 KiB. */
  log: z.string().max(4096).optional(),
});
export type Failure = z.infer<typeof Failure>;

/** The one error class: thrown where a step meets a catalogued failure. */
export class CmtError extends Error {
  readonly failure: Failure;
  constructor(code: ErrorCode, details: Failure['details'] = {}, log?: string) {
    const failure: Failure = { code, details, ...(log ? { log: log.slice(-4096) } : {}) };
    super(messageOf(failure));
    this.name = 'CmtError';
    this.failure = failure;
  }
}

/** The sentence of a failure, its places filled. */
export const messageOf = (failure: Failure): string => fill(catalogue[failure.code].message, failure.details);

/** What the reader can do about a failure. */
export const remedyOf = (failure: Failure): string => fill(catalogue[failure.code].remedy, failure.details);

/** What the saga does with a failure. */
export const reactionTo = (failure: Failure): Reaction => catalogue[failure.code].reaction;

function fill(template: string, details: Failure['details']): string {
  return template.replace(/\{(\w+)\}/g, (place, name: string) => String(details[name] ?? place));
}
