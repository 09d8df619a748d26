/** The rate that a link may send at, changed while bytes flow. */

/** Bytes per second; null: as fast as it goes. */
export type Rate = number | null;

export class Bandwidth {
  readonly #listeners = new Set<(rate: Rate) => void>();
  #rate: Rate = null;

  get rate(): Rate {
    return this.#rate;
  }

  set rate(rate: Rate) {
    this.#rate = rate;
    for (const listener of this.#listeners) listener(rate);
  }

  /** @returns what ends it */
  onChange(listener: (rate: Rate) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
