/** A coordinator that plays a part instead of moving anything: how a migration ends is written in its container's name. */
import type { MigrationReport, MigrationRequest, MigrationState } from '@cmt/contracts';
import { messageOf, remedyOf, type Failure } from '@cmt/contracts';
import type { MigrationHandler } from '@cmt/queue';
import { once } from 'node:events';

const failure = (code: Failure['code'], details: Failure['details'], log?: string): Failure => ({
  ...{ code, details },
  ...(log ? { log } : {}),
});

type Part = (request: MigrationRequest) => {
  readonly state: MigrationState;
  readonly failure: Failure | null;
};

/** Container name to the end its migration takes. */
export const parts: Record<string, Part> = {
  redis: ({ options }) => ({ state: options.validateOnly ? 'validated' : 'done', failure: null }),
  ghost: ({ source }) => ({
    state: 'refused',
    failure: failure('CONTAINER_UNKNOWN', { container: 'ghost', host: source }),
  }),
  lonely: ({ target }) => ({ state: 'refused', failure: failure('HOST_UNREACHABLE', { host: target }) }),
  wide: ({ target }) => ({
    state: 'refused',
    failure: failure('VALIDATION_REFUSED', {
      count: 1,
      container: 'wide',
      host: target,
      codes: 'STREAM_OUTSIDE',
    }),
  }),
  fragile: ({ target }) => ({
    state: 'rolled-back',
    failure: failure(
      'RESTORE_FAILED',
      { container: 'fragile', host: target, reason: 'no', log: '/l' },
      'last line',
    ),
  }),
  broken: ({ target }) => ({
    state: 'needs-operator',
    failure: failure('CONTAINER_DIED', { container: 'broken', host: target, ms: 5 }),
  }),
};

/** Plays `parts`; `slow` runs until somebody cancels it. */
export const scripted: MigrationHandler = async (request, lease) => {
  const stored = lease.stored;
  if (!stored) throw new Error(`${request.id} was never registered`);
  const save = (more: Partial<MigrationReport>) => lease.save({}, { ...stored.report, ...more });
  if (lease.order !== null) {
    await save({ state: 'rolling-back', step: 'resume', failure: null });
    await save({ state: 'rolled-back', fenced: 'target', failure: null });
    return;
  }
  await save({ state: 'running', step: 'inspect' });
  await lease.tell({ kind: 'step-started', step: 'inspect', text: 'looks at the container' });
  await lease.tell({ kind: 'step-ended', step: 'inspect', text: 'took 1 ms' });
  if (request.container === 'slow') {
    if (!lease.cancelled.aborted) await once(lease.cancelled, 'abort');
    const reason = String(lease.cancelled.reason);
    await save({ state: 'cancelled', ...told(failure('CANCELLED', { reason })) });
    return;
  }
  const end = parts[request.container ?? '']?.(request);
  if (!end) throw new Error(`no part is written for ${request.container ?? 'a bundle'}`);
  const finding = {
    code: 'STREAM_OUTSIDE',
    severity: 'hard',
    host: request.source,
    message: 'fd 2',
    remedy: 'x',
  } as const;
  await save({
    ...{ state: end.state, blackoutMs: end.state === 'done' ? 200 : null },
    ...(end.failure ? told(end.failure) : {}),
    findings: request.container === 'wide' ? [finding] : [],
  });
};

const told = (failed: Failure): Partial<MigrationReport> => ({
  ...{ failure: failed, message: messageOf(failed), remedy: remedyOf(failed) },
});
