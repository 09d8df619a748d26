/** How long the parts of a transfer may take, and the one way to wait with a limit. */
import { CmtError } from '@cmt/contracts';

/** Milliseconds. Tests shorten them; the workers use DEFAULT_TIMINGS. */
export interface Timings {
  /** To connect, and for each answer of the handshake. */
  readonly handshake: number;
  /** Between two signs of life on the control channel. */
  readonly heartbeat: number;
  /** Without a sign of life the other side counts as gone. */
  readonly silence: number;
  /** For a source that lost its control channel to come back while the target waits. */
  readonly grace: number;
  /** Without any byte taken by the target a transfer counts as broken. */
  readonly stall: number;
  /** Without a sign of life from the other end the way of pages counts as dead, and a copy that still lacks some is lost. */
  readonly pagesSilence: number;
}

export const DEFAULT_TIMINGS: Timings = {
  handshake: 10_000,
  heartbeat: 2_000,
  silence: 15_000,
  grace: 5_000,
  stall: 30_000,
  pagesSilence: 60_000,
};

/** What an aborted step fails with: the failure that its signal carries, or CANCELLED. */
export function abortFailure(signal: AbortSignal): CmtError {
  const reason: unknown = signal.reason;
  if (reason instanceof CmtError) return reason;
  return new CmtError('CANCELLED', {
    reason: reason instanceof Error ? reason.message : 'the step was aborted',
  });
}

export interface Limit {
  readonly signal?: AbortSignal | undefined;
  readonly ms?: number | undefined;
  /** The error when the time is over. */
  readonly late?: () => Error;
}

/** Waits for `work`, but no longer than the limit. The work itself is not stopped: that is up to whoever began it. */
export function within<T>(work: Promise<T>, { signal, ms, late }: Limit): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer =
      ms === undefined
        ? undefined
        : setTimeout(() => end(reject, late?.() ?? new Error(`took over ${ms} ms`)), ms);
    const onAbort = () => signal && end(reject, abortFailure(signal));
    function end<V>(settle: (value: V) => void, value: V): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      settle(value);
    }
    work.then(
      (value) => end(resolve, value),
      (error: unknown) => end(reject, error),
    );
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
  });
}
