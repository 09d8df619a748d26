/** What a coordinator finds stored of a migration: a saga that can be gone on with, or not. Pure. */
import { MigrationReport, type MigrationRequest } from '@cmt/contracts';
import { decide } from './decide.ts';
import { report } from './report.ts';
import { initial, type Saga } from './state.ts';

/**
 * The saga in what was stored; null where nothing was. `damaged` is what no saga can be: nothing could be done because of it, or it could
 * not be told how it stands. A stage that only a newer cmt knows is that as well.
 */
export function sagaIn(stored: unknown, request: MigrationRequest): Saga | 'damaged' | null {
  if (stored === null) return null;
  return isUsable(stored, request) ? (stored as Saga) : 'damaged';
}

function isUsable(stored: unknown, request: MigrationRequest): boolean {
  if (typeof stored !== 'object') return false;
  const { v, stage, request: own } = stored as Partial<Saga>;
  if (v !== 1 || typeof stage !== 'string' || typeof own?.target !== 'string') return false;
  const saga: Saga = { ...initial(request, 0), ...stored, request };
  try {
    return Array.isArray(decide(saga)) && MigrationReport.safeParse(report(saga, 0)).success;
  } catch {
    return false;
  }
}
