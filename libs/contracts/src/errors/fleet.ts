/** The catalogue's part about finding a target, limits and drains. */
import { entry, type Entry } from '../reaction.ts';

export const fleetErrors = {
  HOST_DRAINED: entry(
    'refuse',
    '{host} is drained: it takes no new container.',
    '`cmt undrain {host}` opens it again; `--dst auto` finds another target.',
  ),
  NO_TARGET: entry(
    'refuse',
    'No host can take {container} from {host}: {reasons}.',
    '`cmt targets {container} --src {host}` lists every host with all its reasons.',
  ),
  LABEL_UNKNOWN: entry(
    'refuse',
    'No host carries the label {label}.',
    'Known labels: {known}. A worker gets one with `--label`.',
  ),
  CONTAINER_AMBIGUOUS: entry(
    'refuse',
    'There is a container {container} on more than one host: {hosts}.',
    'Name the host with `--src`.',
  ),
  QUEUE_FULL: entry(
    'refuse',
    '{count} migrations are open, and the queue takes {limit}.',
    'Wait until some have ended (`cmt status`), or raise the limit with `cmt limits set queue=N`.',
  ),
  NOT_DRAINED: entry(
    'refuse',
    '{host} is not drained.',
    '`cmt hosts` shows which hosts are; `cmt drain {host}` drains it.',
  ),
  DRAIN_UNDER_WAY: entry(
    'refuse',
    'Containers of {host} are being moved already ({id}).',
    '`cmt drain {host} --wait` watches that; `cmt undrain {host}` ends a drain.',
  ),
  DRAIN_DAMAGED: entry(
    'refuse',
    'What Redis held of the order about {host} was damaged: nothing more is begun for it, and what was begun goes on.',
    'Give the order once more; `cmt hosts` shows whether {host} takes new containers.',
  ),
  DRAIN_LATE: entry(
    'refuse',
    'The deadline had passed before {container} could leave {host}.',
    'Drain {host} once more with a later `--deadline`, or with more at a time (`--parallel`).',
  ),
  DRAIN_STOPPED: entry(
    'refuse',
    '{host} was opened again before {container} had left it.',
    'Nothing needs to be done; `cmt drain {host}` empties it after all.',
  ),
} as const satisfies Record<string, Entry>;
