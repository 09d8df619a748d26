/** The catalogue's part about who is there, and what they offer. */
import { entry, type Entry } from '../reaction.ts';

export const machineErrors = {
  REDIS_UNREACHABLE: entry(
    'refuse',
    'Redis at {url} does not answer: {reason}.',
    'Start Redis, or correct `--redis` or CMT_REDIS.',
  ),
  REDIS_MISSING: entry(
    'refuse',
    'No Redis is configured, and `redis-server` is not installed here to start a private one.',
    '`apt-get install redis-server`, or name a Redis with `--redis` or CMT_REDIS.',
  ),
  HOST_UNKNOWN: entry(
    'refuse',
    'No worker named {host} has ever announced itself.',
    'Start `cmt worker --name {host}` there, or choose one of: {known}.',
  ),
  HOST_UNREADABLE: entry(
    'refuse',
    'What {host} announces cannot be read here: {problem}.',
    'Its worker announces anew every three seconds: try again. If it stays so, run the same version of cmt here and there.',
  ),
  HOST_UNREACHABLE: entry(
    'retry',
    'The worker on {host} does not answer.',
    'Look at `cmt hosts` and at the worker’s log on {host}; it takes the step up again when it is back.',
  ),
  COORDINATOR_MISSING: entry(
    'refuse',
    'No coordinator takes migrations from the queue.',
    'Start `cmt coordinator`.',
  ),
  TOOL_MISSING: entry(
    'refuse',
    '{tool} cannot be started on {host}: {reason}.',
    'Install {tool} on {host}, where the worker’s PATH finds it; `cmt doctor {host}` says what else is missing.',
  ),
  PEER_UNREACHABLE: entry(
    'retry',
    '{host} cannot reach {peer} at {address}: {reason}.',
    'Check the address that {peer} announces (`cmt hosts`) and the firewall between the two.',
  ),
  HOST_KEY_MISMATCH: entry(
    'refuse',
    '{peer} at {address} showed a host key that is not the pinned one ({fingerprint}).',
    'If the key was changed on purpose, pin the new one; otherwise somebody sits between {host} and {peer}.',
  ),
  SSH_AUTH_FAILED: entry(
    'refuse',
    '{peer} at {address} did not accept the key of {host}.',
    'Give the worker on {host} a key that {peer} accepts (`--ssh-key`, or an ssh-agent).',
  ),

  CONTAINER_UNKNOWN: entry(
    'refuse',
    'There is no container {container} on {host}.',
    '`cmt ps` lists the containers of every host.',
  ),
  CONTAINER_NOT_RUNNING: entry(
    'refuse',
    'Container {container} on {host} is {status}, not running.',
    'Start it, or copy its bundle: there is nothing live to move.',
  ),
  CONTAINER_BUSY: entry(
    'refuse',
    'Container {container} on {host} is already part of migration {other}.',
    'Wait for it (`cmt watch {other}`) or cancel it.',
  ),
  BUNDLE_INVALID: entry(
    'refuse',
    'The bundle {bundle} on {host} is not usable: {problem}.',
    'Give the path of a bundle with a readable config.json.',
  ),
  VALIDATION_REFUSED: entry(
    'refuse',
    '{count} finding(s) speak against moving {container} to {host}: {codes}.',
    'Each finding names its remedy; `--force` overrides the soft ones.',
  ),
} as const satisfies Record<string, Entry>;
