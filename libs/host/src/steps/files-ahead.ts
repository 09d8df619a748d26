/**
 * The last pass over the files, under way while the dump still runs: neither needs the other, and both need a container that stands still.
 *
 * INVARIANTS
 * - It begins when the container is frozen and its mapped files have their new times, never before.
 * - It belongs to the step that began it until another one takes it: whoever has it stops it with its own signal.
 * - It is taken once; without one, as after a restart of the worker, the pass is made afresh.
 */
import type { Link } from '../transports/transport.ts';

interface Pass {
  readonly carried: Promise<{ bytes: number }>;
  readonly stop: AbortController;
  /** Of the step that began it. */
  readonly letGo: () => void;
}

const underWay = new WeakMap<Link, Pass>();

/** Begins the pass when `ready` has come true. What becomes of it, `carryFiles` says. */
export function carryAhead(link: Link, directory: string, ready: Promise<void>, signal: AbortSignal): void {
  const stop = new AbortController();
  const letGo = obey(stop, signal);
  const carried = ready.then(() => link.syncFiles(directory, stop.signal));
  carried.catch(() => undefined);
  underWay.set(link, { carried, stop, letGo });
}

/** The pass that is under way, or a new one. @throws CmtError FILES_FAILED */
export async function carryFiles(
  link: Link,
  directory: string,
  signal: AbortSignal,
): Promise<{ bytes: number }> {
  const pass = underWay.get(link);
  underWay.delete(link);
  if (pass === undefined) return await link.syncFiles(directory, signal);
  pass.letGo();
  const letGo = obey(pass.stop, signal);
  try {
    return await pass.carried;
  } finally {
    letGo();
  }
}

/** Stops a pass that nobody will take. */
export function stopCarrying(link: Link, reason: Error): void {
  underWay.get(link)?.stop.abort(reason);
  underWay.delete(link);
}

/** @returns what ends the obedience */
function obey(stop: AbortController, signal: AbortSignal): () => void {
  const abort = (): void => stop.abort(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  return () => signal.removeEventListener('abort', abort);
}
