/** Events in the order in which they came, for one reader. */
export class Inbox<T> {
  readonly #waiting: T[] = [];
  #failure: { readonly error: unknown } | null = null;
  #wake: () => void = () => undefined;

  put(item: T): void {
    this.#waiting.push(item);
    this.#wake();
  }

  /** Makes every later `next` reject. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  /** The next item. Rejects when the inbox has failed or `signal` aborts. */
  async next(signal: AbortSignal): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#failure !== null) throw this.#failure.error;
      const item = this.#waiting.shift();
      if (item !== undefined) return item;
      await this.#changed(signal);
    }
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        signal.removeEventListener('abort', done);
        this.#wake = () => undefined;
        resolve();
      };
      this.#wake = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
