/**
 * The error catalogue: every failure that cmt can report, once.
 * `docs/errors.md` is generated from this table, and a test keeps the two equal.
 */
import { z } from 'zod';
import { boardErrors } from './errors/board.ts';
import { fleetErrors } from './errors/fleet.ts';
import { handOverErrors } from './errors/hand-over.ts';
import { joiningErrors } from './errors/joining.ts';
import { machineErrors } from './errors/machines.ts';
import { remoteErrors } from './errors/remote.ts';
import { requestErrors } from './errors/requests.ts';
import { scheduleErrors } from './errors/schedules.ts';
import type { Entry } from './reaction.ts';

export const catalogue = {
  ...requestErrors,
  ...machineErrors,
  ...remoteErrors,
  ...fleetErrors,
  ...handOverErrors,
  ...scheduleErrors,
  ...joiningErrors,
  ...boardErrors,
} as const satisfies Record<string, Entry>;

export type ErrorCode = keyof typeof catalogue;
export const ErrorCode = z.enum(Object.keys(catalogue) as [ErrorCode, ...ErrorCode[]]);
