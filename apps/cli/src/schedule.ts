/** From what was typed to a schedule. */
import { Schedule, ScheduleName, type ScheduledWork } from '@cmt/contracts';
import { parseDuration } from './flags/duration.ts';
import { invalid } from './flags/invalid.ts';
import type { Fleet } from './fleet.ts';
import { readWork } from './scheduled-words.ts';

export interface TypedSchedule {
  readonly pattern: string;
  readonly words: readonly string[];
  readonly flags: { readonly name?: string; readonly tz: string; readonly grace: string };
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** @throws {CmtError} REQUEST_INVALID, HOST_UNKNOWN, SAME_HOST */
export async function scheduleFrom(
  { pattern, words, flags, now }: TypedSchedule,
  fleet: Pick<Fleet, 'hosts'>,
): Promise<Schedule> {
  const name = nameFrom(flags.name, words);
  const work: ScheduledWork = await readWork(name, words, fleet);
  const graceMs = parseDuration('--grace', flags.grace);
  const typed = { v: 1, kind: 'schedule', name, pattern: pattern.trim(), timeZone: flags.tz };
  const parsed = Schedule.safeParse({ ...typed, words, work, graceMs, issuedAt: now });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const flag = issue?.path[0] === 'graceMs' ? '--grace' : (issue?.path.join('.') ?? '');
  throw invalid(flag, issue?.message ?? 'not valid');
}

/** `migrate redis --src …` is `migrate-redis` unless it is given a name. @throws {CmtError} REQUEST_INVALID */
function nameFrom(typed: string | undefined, words: readonly string[]): ScheduleName {
  const told = words.slice(0, 2).filter((word) => !word.startsWith('-'));
  const made = told
    .join('-')
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .slice(0, 40);
  const parsed = ScheduleName.safeParse(typed ?? made);
  if (parsed.success) return parsed.data;
  throw invalid('--name', `'${typed ?? made}': ${parsed.error.issues[0]?.message ?? ''}`);
}
