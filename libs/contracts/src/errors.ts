/**
 * The error catalogue: every failure that cmt can report, once.
 * `docs/errors.md` is generated from this table, and a test keeps the two equal.
 */
import { z } from 'zod';
import { boardErrors } from './errors/board.ts';
import { handOverErrors } from './errors/hand-over.ts';
import { machineErrors } from './errors/machines.ts';
import { requestErrors } from './errors/requests.ts';
import type { Entry } from './reaction.ts';

export const catalogue = {
  ...requestErrors,
  ...machineErrors,
  ...handOverErrors,
  ...boardErrors,
} as const satisfies Record<string, Entry>;

export type ErrorCode = keyof typeof catalogue;
export const ErrorCode = z.enum(Object.keys(catalogue) as [ErrorCode, ...ErrorCode[]]);
