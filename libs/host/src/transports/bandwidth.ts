/** The rate that a link may send at, changed while bytes flow: the lower one of what was asked for and of what the fleet gives. */

/** Bytes per second; null: as fast as it goes. */
export type Rate = number | null;

/** The lower one of two. */
export const lowerOf = (one: Rate, other: Rate): Rate =>
  one === null || other === null ? (one ?? other) : Math.min(one, other);

export class Bandwidth {
  readonly #listeners = new Set<(rate: Rate) => void>();
  #asked: Rate = null;
  #share: Rate = null;

  get rate(): Rate {
    return lowerOf(this.#asked, this.#share);
  }

  get asked(): Rate {
    return this.#asked;
  }

  set asked(rate: Rate) {
    this.#asked = rate;
    this.#tell();
  }

  get share(): Rate {
    return this.#share;
  }

  set share(rate: Rate) {
    this.#share = rate;
    this.#tell();
  }

  /** @returns what ends it */
  onChange(listener: (rate: Rate) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener(this.rate);
  }
}
