/** The catalogue's part about joining a fleet: what a worker or a coordinator refuses to begin with. */
import { entry, type Entry } from '../reaction.ts';

export const joiningErrors = {
  REDIS_REFUSED: entry(
    'refuse',
    'Redis at {url} refuses to talk: {reason}.',
    'Correct user and password in `--redis`, CMT_REDIS or CMT_REDIS_PASSWORD, or the rights of that user (ACL).',
  ),
  REDIS_FORGETS: entry(
    'refuse',
    'Redis at {url} may throw away what it was given: `maxmemory-policy` is {policy}.',
    'Set `maxmemory-policy noeviction` in redis.conf (or `CONFIG SET maxmemory-policy noeviction`).',
  ),
  CLOCK_OFF: entry(
    'refuse',
    'The clock of {host} differs from that of Redis by {offset} s.',
    'Set the clock (chrony, systemd-timesyncd) on {host} and on the machine of Redis.',
  ),
  HOST_NAME_TAKEN: entry(
    'refuse',
    'Another machine works under the name {host}: it is at {address}.',
    'Give this one another `--name`, or stop the worker at {address}; a machine that was set up anew can join after a minute.',
  ),
  WORKER_RUNS: entry(
    'refuse',
    'Another worker of this machine runs: it listens on {socket}.',
    'Stop that one first, or give this one another `--images-dir` and `--state-dir`.',
  ),
  HOST_BUSY: entry(
    'refuse',
    '{host} has part in migration {migration}, which has not ended.',
    'Wait for it (`cmt watch {migration}`), cancel it, or decide it (`cmt resolve {migration}`) first.',
  ),
  COORDINATOR_RUNS: entry(
    'refuse',
    'Another coordinator works with the state directory {dir}.',
    'Stop that one first; several coordinators share the work when each has a `--state-dir` of its own.',
  ),
} as const satisfies Record<string, Entry>;
