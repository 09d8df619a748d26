/** Exit codes of `cmt`, in one place: what a script learns without reading a word. */
import type { DrainReport, ErrorCode, MigrationReport } from '@cmt/contracts';

export const ExitCode = {
  done: 0,
  /** cmt itself broke: a bug. */
  internal: 1,
  usage: 2,
  /** Refused; nothing was changed on either host. */
  refused: 3,
  /** Failed; the container runs on the source. */
  rolledBack: 4,
  /** Failed; a person has to decide. */
  needsOperator: 5,
  /** Redis, the coordinator or a worker does not answer. */
  unreachable: 6,
  cancelled: 7,
  /** Ctrl-C; what was asked for goes on. */
  interrupted: 130,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

const byFailure: Partial<Record<ErrorCode, ExitCode>> = {
  REQUEST_INVALID: ExitCode.usage,
  CONFIG_INVALID: ExitCode.usage,
  SCHEDULE_INVALID: ExitCode.usage,
  REDIS_UNREACHABLE: ExitCode.unreachable,
  REDIS_REFUSED: ExitCode.unreachable,
  REDIS_MISSING: ExitCode.unreachable,
  COORDINATOR_MISSING: ExitCode.unreachable,
  HOST_UNREACHABLE: ExitCode.unreachable,
  SSH_HOST_UNKNOWN: ExitCode.unreachable,
  SSH_UNREACHABLE: ExitCode.unreachable,
  CANCELLED: ExitCode.cancelled,
  INTERNAL: ExitCode.internal,
};

/** The exit code for a failure met before, or without, a migration. */
export const exitCodeOfFailure = (code: ErrorCode): ExitCode => byFailure[code] ?? ExitCode.refused;

/** The exit code for a migration as it stands; one that has not ended counts as done (`--detach`). */
export function exitCodeOfReport({ state, failure }: Pick<MigrationReport, 'state' | 'failure'>): ExitCode {
  switch (state) {
    case 'refused':
      return failure ? exitCodeOfFailure(failure.code) : ExitCode.refused;
    case 'rolled-back':
      return ExitCode.rolledBack;
    case 'needs-operator':
      return ExitCode.needsOperator;
    case 'cancelled':
      return ExitCode.cancelled;
    case 'done':
    case 'validated':
    case 'queued':
    case 'running':
    case 'rolling-back':
    case 'committed':
      return ExitCode.done;
  }
}

/** The exit code for a drain as it stands: what could not leave runs on where it was. */
export function exitCodeOfDrain({ state, failure }: Pick<DrainReport, 'state' | 'failure'>): ExitCode {
  if (state === 'refused') return failure ? exitCodeOfFailure(failure.code) : ExitCode.refused;
  if (state === 'incomplete') return ExitCode.rolledBack;
  return state === 'stopped' ? ExitCode.cancelled : ExitCode.done;
}
