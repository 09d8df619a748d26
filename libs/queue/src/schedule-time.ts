/** When a schedule is due. The arithmetic of patterns and zones is BullMQ's own, so that both always agree. */
import { CmtError, type Schedule } from '@cmt/contracts';
import { getNextMillis } from 'bullmq';

/** Where a pattern and its zone stand. */
export type Times = Pick<Schedule, 'name' | 'pattern' | 'timeZone'>;

/** cron-parser fills fields that are left out; a pattern of three is a slip, not a wish. */
const FIELDS = /^(@(yearly|annually|monthly|weekly|daily|hourly)|\S+(\s+\S+){4,5})$/;

/** More missed times than this are not told apart. */
const COUNTED = 100;

const invalid = (name: string, problem: string): CmtError =>
  new CmtError('SCHEDULE_INVALID', { name, problem });

/** @throws {CmtError} SCHEDULE_INVALID when the pattern or the zone cannot be understood, or never comes due */
export function checkTimes(times: Times, now: number): void {
  const { name, pattern, timeZone } = times;
  if (!isZone(timeZone)) throw invalid(name, `'${timeZone}' is no time zone, such as Europe/Berlin or UTC`);
  if (!FIELDS.test(pattern.trim()))
    throw invalid(name, `'${pattern}' has not five fields, or six with seconds`);
  if (nextDue(times, now) === null) throw invalid(name, `'${pattern}' never comes due`);
}

/** The first time after `after` (milliseconds since 1970), or null. @throws {CmtError} SCHEDULE_INVALID */
export function nextDue({ name, pattern, timeZone }: Times, after: number): number | null {
  try {
    const next: unknown = getNextMillis(after, { pattern, tz: timeZone });
    return typeof next === 'number' && Number.isFinite(next) ? next : null;
  } catch (error) {
    throw invalid(name, `'${pattern}': ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Whether the schedule is due at that very time. */
export const isDueAt = (times: Times, at: number): boolean => nextDue(times, at - 1000) === at;

/** How many times came due after `after`, up to and including `until`; counted up to a hundred. */
export function timesBetween(times: Times, after: number, until: number): number {
  let count = 0;
  for (let at = nextDue(times, after); at !== null && at <= until && count < COUNTED; count += 1)
    at = nextDue(times, at);
  return count;
}

function isZone(timeZone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    return true;
  } catch {
    return false;
  }
}
