/** The catalogue's part about schedules. */
import { entry, type Entry } from '../reaction.ts';

export const scheduleErrors = {
  SCHEDULE_INVALID: entry(
    'refuse',
    'The schedule {name} cannot be used: {problem}.',
    "Write five fields (minute hour day month weekday) in quotes, e.g. `cmt schedule add '0 3 * * 0' -- migrate …`.",
  ),
  SCHEDULE_EXISTS: entry(
    'refuse',
    'There is another schedule {name}: {words} at {pattern}.',
    'Give this one another `--name`, or put it in the place of that one with `--replace`.',
  ),
  SCHEDULE_UNREADABLE: entry(
    'refuse',
    'What Redis holds of schedule {name} cannot be read here: {problem}.',
    'If no newer cmt wrote it, make it again with `--replace`, or remove it: `cmt schedule rm {name}`.',
  ),
  SCHEDULE_UNKNOWN: entry(
    'refuse',
    'There is no schedule {name}.',
    '`cmt schedule ls` lists those there are.',
  ),
} as const satisfies Record<string, Entry>;
