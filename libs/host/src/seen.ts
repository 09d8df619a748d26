/** Waiting for what a file system tells of. */
import { watch } from 'node:fs';

/**
 * Looks at once, and again whenever something changes at that path, until there is something to see.
 * @param look what it has seen, or null
 * @returns what was seen
 * @throws the signal's reason, what `look` throws, and what the watch fails with (inotify(7))
 */
export async function seen<T>(
  path: string,
  look: () => T | null | Promise<T | null>,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  let done = (): void => undefined;
  try {
    return await new Promise<T>((resolve, reject) => {
      const lookAgain = (): void =>
        void new Promise<T | null>((answer) => answer(look())).then(
          (it) => it !== null && resolve(it),
          reject,
        );
      const stop = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
      const watcher = watch(path, { persistent: false }, lookAgain).on('error', reject);
      signal.addEventListener('abort', stop, { once: true });
      done = () => {
        watcher.close();
        signal.removeEventListener('abort', stop);
      };
      lookAgain();
    });
  } finally {
    done();
  }
}
