/** From typed flags to an order about a host. Pure but for the id. */
import type { FleetOrder, Labels, Priority } from '@cmt/contracts';
import { randomInt } from 'node:crypto';
import { parseDuration } from './flags/duration.ts';
import { invalid } from './flags/invalid.ts';
import { parseLabels } from './flags/place.ts';

export interface OrderFlags {
  readonly parallel: string;
  readonly deadline?: string;
  readonly priority?: Priority;
  readonly force?: boolean;
  readonly label?: string[];
}

/** All of an order but what it is about. */
export type ParsedOrder = Omit<FleetOrder, 'kind' | 'host' | 'moves'> & { readonly labels: Labels };

const LETTERS = 'abcdefghijklmnopqrstuvwxyz234567';
const newId = (): string =>
  `d-${Array.from({ length: 10 }, () => LETTERS.charAt(randomInt(LETTERS.length))).join('')}`;

/** @throws {CmtError} REQUEST_INVALID naming the flag */
export function parseOrder(flags: OrderFlags, id = newId(), now = Date.now()): ParsedOrder {
  const { parallel, deadline, priority = 'normal', force = false } = flags;
  if (!/^[1-9]\d?$/.test(parallel) || Number(parallel) > 64)
    throw invalid('--parallel', `'${parallel}' is not a number from 1 to 64`);
  const deadlineMs = deadline === undefined ? null : parseDuration('--deadline', deadline);
  if (deadlineMs !== null && deadlineMs < 1000) throw invalid('--deadline', 'it must be a second at least');
  return {
    ...{ v: 1, id, parallel: Number(parallel), deadlineMs, priority, force, requestedAt: now },
    labels: parseLabels('--label', flags.label ?? []),
  };
}
