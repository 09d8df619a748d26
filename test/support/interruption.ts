/** Aborts when somebody ends this program, which then takes down what it has made. @param told why, for whoever ended it */
export function interruption(told: string): AbortSignal {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => interrupted.abort(new Error(told)));
  return interrupted.signal;
}
