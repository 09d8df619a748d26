/**
 * Being told to stop, for programs that bring what they do to its end first.
 *
 * INVARIANT: the listener stays. Were it taken away while others still hear the signal, as `once` does, then signal-exit, which execa brings
 * along, would take itself for the only one left, kill the children of this process and end it at once.
 */

/** Calls back at every SIGTERM and SIGINT from now on. */
export function onStopSignal(listener: (signal: NodeJS.Signals) => void): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, listener);
}

/** Resolves at the first of them. */
export const toldToStop = (): Promise<NodeJS.Signals> => new Promise((resolve) => onStopSignal(resolve));
