/**
 * Looks at something again and again while anybody watches, and tells all watchers the same.
 *
 * INVARIANTS
 * - One look at a time, however many watch; nobody watches, nobody looks.
 * - A watcher that comes later is told first how things stand.
 * - A look that fails is told once, and looked again.
 */
import { setTimeout as pause } from 'node:timers/promises';

/** A message for a browser: the name of the event, and JSON. */
export interface Message {
  readonly event: string;
  readonly data: string;
}

export type Watcher = (message: Message) => void;

export interface Looks {
  /** What has changed since the last look. */
  look(): Promise<readonly Message[]>;
  /** How things stand, from the last look. */
  whole(): readonly Message[];
}

export const message = (event: string, data: unknown): Message => ({ event, data: JSON.stringify(data) });

export class LookOut {
  readonly #looks: Looks;
  readonly #everyMs: number;
  readonly #watchers = new Set<Watcher>();
  #isLooking = false;
  #hasLooked = false;
  #away: Message | null = null;

  /** @param everyMs milliseconds between the end of a look and the next */
  constructor(looks: Looks, everyMs: number) {
    this.#looks = looks;
    this.#everyMs = everyMs;
  }

  get watched(): number {
    return this.#watchers.size;
  }

  /** @returns stops watching */
  watch(watcher: Watcher): () => void {
    this.#watchers.add(watcher);
    if (this.#hasLooked) for (const each of this.#looks.whole()) watcher(each);
    if (this.#away !== null) watcher(this.#away);
    if (!this.#isLooking) void this.#goOn();
    return () => this.#watchers.delete(watcher);
  }

  async #goOn(): Promise<void> {
    this.#isLooking = true;
    while (this.#watchers.size > 0) {
      await this.#lookOnce();
      await pause(this.#everyMs, undefined, { ref: false });
    }
    this.#isLooking = false;
    this.#hasLooked = false;
  }

  async #lookOnce(): Promise<void> {
    try {
      const changes = await this.#looks.look();
      const back = this.#away === null ? [] : [message('back', {})];
      this.#away = null;
      for (const each of [...back, ...(this.#hasLooked ? changes : this.#looks.whole())]) this.#tell(each);
      this.#hasLooked = true;
    } catch (error) {
      if (this.#away !== null) return;
      const reason = error instanceof Error ? error.message : String(error);
      this.#away = message('away', { at: Date.now(), reason });
      this.#tell(this.#away);
    }
  }

  #tell(told: Message): void {
    for (const watcher of this.#watchers) watcher(told);
  }
}
