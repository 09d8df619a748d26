/** The catalogue's part about doing it. */
import { entry, type Entry } from '../reaction.ts';

export const handOverErrors = {
  TARGET_FULL: entry(
    'rollback',
    '{host} has {free} free at {path}, {need} are needed.',
    'Free space on {host}, or choose another target.',
  ),
  NAME_TAKEN: entry(
    'rollback',
    '{host} already has a container {container}.',
    'Remove it there, or choose another target.',
  ),
  ADDRESS_TAKEN: entry(
    'rollback',
    'Address {address} is already in use on {host}.',
    'Free the address on {host}, or choose another target.',
  ),
  NETWORK_FAILED: entry(
    'rollback',
    'The network of {container} could not be set up on {host}: {reason}.',
    'Create bridge {bridge} on {host}, or choose another target.',
  ),
  NETWORK_UNSUPPORTED: entry(
    'refuse',
    'The network of {container} on {host} cannot be moved: {reason}.',
    'Give the container a network namespace with a path (`ip netns add`), and veth links on a bridge.',
  ),
  NETWORK_IN_USE: entry(
    'rollback',
    'Network namespace {netns} on {host} is in use by {process}.',
    'Stop that process, or choose another target.',
  ),
  FILES_FAILED: entry(
    'retry',
    'The files of {container} could not be carried from {host} to {peer}: {reason}.',
    'See the step’s log; rsync must be on both hosts.',
  ),
  TRANSFER_BROKEN: entry(
    'retry',
    'The connection from {host} to {peer} broke after {bytes} bytes: {reason}.',
    'cmt tries again by itself; check the link between the two.',
  ),
  TRANSFER_CORRUPT: entry(
    'retry',
    'Image {file} reached {host} with another checksum than it left with.',
    'cmt sends it again; if it repeats, check memory and network of both hosts.',
  ),
  PAGES_UNREACHABLE: entry(
    'rollback',
    'Pages cannot follow from {host} to {peer}: {reason}. The container was not frozen.',
    'Post-copy needs a connection of its own to the receive port of {peer}: open it, or use another --mode.',
  ),
  WORKER_STOPPING: entry(
    'rollback',
    'The worker on {host} was told to stop in the middle of {step} and could wait no longer.',
    'Nothing needs to be done: ask for the migration again when the worker is back.',
  ),
  SESSION_LOST: entry(
    'retry',
    '{host} no longer expects the images of migration {migration}.',
    'cmt prepares {host} again by itself.',
  ),
  NO_CONVERGENCE: entry(
    'rollback',
    '{container} was not frozen: {why}; a blackout of {predicted} ms is predicted, at most {budget} ms were asked for.',
    'Give it a longer --max-downtime, move it when it writes less, or leave out --on-no-convergence abort.',
  ),
  FREEZE_FAILED: entry(
    'retry',
    '{container} on {host} could not be frozen: {reason}.',
    'Look for a process in uninterruptible sleep (`ps -eo pid,stat,wchan`).',
  ),
  DUMP_FAILED: entry(
    'retry',
    'CRIU could not dump {container} on {host}: {reason}.',
    'The full log is kept on {host} in {log}.',
  ),
  DUMP_REFUSED: entry('rollback', 'CRIU refuses to dump {container} on {host}: {reason}.', '{hint}'),
  RESTORE_FAILED: entry(
    'retry',
    'CRIU could not restore {container} on {host}: {reason}.',
    'The full log is kept on {host} in {log}.',
  ),
  RESTORE_REFUSED: entry('rollback', 'CRIU refuses to restore {container} on {host}: {reason}.', '{hint}'),
  HELD_COPY_DIED: entry(
    'retry',
    'The restored copy of {container} on {host} died before it was released.',
    'The full log is kept on {host} in {log}.',
  ),
  LAZY_PAGES_LOST: entry(
    'operator',
    '{container} ran on {host} before all its memory was there, and criu lazy-pages ended ({reason}): it was killed before it could read what was missing.',
    'If {peer} was not restarted, it stands frozen there as it was at the switch: `cmt resolve {migration} --fenced {host}` lets it run on there. What it did on {host} is lost.',
  ),
  CONTAINER_DIED: entry(
    'operator',
    'Container {container} died on {host} within {ms} ms of its release.',
    'The frozen source copy is kept. `cmt resolve` decides which side goes on.',
  ),
  CONTAINER_LOST: entry(
    'operator',
    'Container {container} no longer exists on {host}, where it ran: {status}.',
    'Find out why it ended (did {host} restart?) and start it anew; nothing of the migration is left, and no other host has a copy.',
  ),
  HOOK_FAILED: entry(
    'rollback',
    'Hook {hook} failed with {code}: {output}.',
    'Run the program by hand with the same JSON on standard input.',
  ),
  STEP_TIMEOUT: entry(
    'retry',
    'Step {step} on {host} took longer than {ms} ms.',
    'See the worker’s log on {host}.',
  ),
  STALE_EPOCH: entry(
    'rollback',
    '{host} refused {step} of epoch {epoch}: its journal is at {current}.',
    'Another coordinator has taken over; nothing needs to be done.',
  ),
  JOURNAL_FAILED: entry(
    'rollback',
    '{host} cannot write its journal {path}: {reason}.',
    'Make the state directory of {host} writable; cmt does nothing it cannot write down first.',
  ),
  REDIS_FORGOT: entry(
    'rollback',
    'Redis forgot migration {migration} while it was under way.',
    'Let Redis keep what it is given (`appendonly yes`), and migrate {container} again.',
  ),
  NOT_ABORTED: entry(
    'operator',
    '{host} refuses to resume {container}: no ABORT of epoch {epoch} is on record.',
    '`cmt status` shows the decision; `cmt resolve` settles it.',
  ),
  TARGET_COMMITTED: entry(
    'operator',
    '{host} refuses to discard {container}: epoch {epoch} is committed there.',
    'The migration goes forward by itself.',
  ),
  UNDECIDED: entry(
    'operator',
    'Nobody can say whether {host} runs {container}: it cannot be asked, and Redis may have lost the decision.',
    'Bring {host} back, or fence it and use `cmt resolve`.',
  ),
  NOT_STUCK: entry(
    'refuse',
    'Migration {migration} does not wait for an operator: {reason}.',
    'Only a migration that ended as `needs-operator` can be resolved; `cmt status {migration}` shows how it stands.',
  ),
  NOT_A_SIDE: entry(
    'refuse',
    'Host {host} has no part in migration {migration}, which goes from {from} to {to}.',
    'Name {from} or {to}: the one that is powered off or cut off.',
  ),
  FENCE_UNCONFIRMED: entry(
    'refuse',
    'Nothing was done: that {host} is fenced has to be said in so many words.',
    'Make sure of it, then say so: `cmt resolve {migration} --fenced {host} --confirm {host}`.',
  ),
  FENCED_ONLINE: entry(
    'refuse',
    '{host} is to be fenced, but announced itself {age} ago: its worker is alive.',
    'Power it off first. If you know better (its worker runs, the container cannot), add `--even-though-online`.',
  ),
  FENCED_OFF: entry(
    'operator',
    '{host} refuses {step} of {container}: an operator has declared this host fenced.',
    'Nothing needs to be done here: the other side has the container. `cmt status` shows it.',
  ),
  RESOLVED: entry(
    'rollback',
    'An operator has declared {host} fenced: {container} goes on on {other}, from where it was frozen.',
    'What a copy on {host} did after its release is lost. {host} cleans up by itself when it is back.',
  ),
  COPY_GONE: entry(
    'operator',
    '{host} has no copy of {container} that could go on: {reason}.',
    'Nothing was changed. `cmt resolve` with the other host, if that one has a copy; otherwise start the container anew.',
  ),
  FENCED_COPY_RUNS: entry(
    'operator',
    '{container} runs on {host}, which an operator has declared fenced: there may be two copies.',
    'Look at both now, and stop the one that is wrong by hand (`runc kill {container} KILL`): cmt kills neither.',
  ),
  CANCELLED: entry(
    'cancelled',
    'The migration was cancelled: {reason}.',
    'Nothing needs to be done: the container runs on the source.',
  ),
  TOO_LATE_TO_TUNE: entry(
    'refuse',
    'Migration {migration} can no longer be tuned: {reason}.',
    'Nothing needs to be done: what it did is in `cmt status {migration}`.',
  ),
  TOO_LATE_TO_CANCEL: entry(
    'refuse',
    'Migration {migration} can no longer be cancelled: {reason}.',
    'Let it finish, then migrate back.',
  ),
  MIGRATION_UNKNOWN: entry(
    'refuse',
    'There is no migration {migration}.',
    '`cmt status` lists the known ones.',
  ),
  MIGRATION_UNREADABLE: entry(
    'refuse',
    'What Redis holds of migration {migration} cannot be read here: {problem}.',
    'If a newer cmt wrote it, use that one. One that is under way goes on, and is readable again after its next step.',
  ),
  STATE_DAMAGED: entry(
    'rollback',
    'What Redis held of migration {migration} while it was under way was damaged.',
    'Find out what else writes to that Redis, and migrate {container} again.',
  ),
  LAB_FAILED: entry(
    'refuse',
    'The lab is not to be had: {reason}.',
    '`cmt lab ls` shows what is there; `cmt lab down` removes whatever is left of a lab.',
  ),
  INTERNAL: entry(
    'retry',
    'cmt itself failed on {host} in {step}: {reason}.',
    'Please report this with the worker’s log.',
  ),
} as const satisfies Record<string, Entry>;
