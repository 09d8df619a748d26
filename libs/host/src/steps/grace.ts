/** Time that an operation gets to end by itself after its step was stopped. */

/** CRIU killed in the middle of a dump leaves its code inside the container; it is killed only when it does not end. */
export const CRIU_GRACE_MS = 20_000;

/** Aborts `ms` after `signal` does. */
export function afterGrace(signal: AbortSignal, ms: number): AbortSignal {
  const late = new AbortController();
  const arm = (): void => {
    setTimeout(() => late.abort(signal.reason), ms).unref();
  };
  if (signal.aborted) arm();
  else signal.addEventListener('abort', arm, { once: true });
  return late.signal;
}
