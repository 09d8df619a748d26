/**
 * Redis as cmt uses it: one value a key. It can be away, be stopped and answer late, crash and lose what it had not written
 * down, or come back empty.
 */
import { CmtError } from '@cmt/contracts';
import type { SimProcess } from './sim-process.ts';
import type { World } from './world.ts';

/** Milliseconds that a caller waits for an answer. */
const ANSWER_MS = 2_000;

interface Change {
  readonly at: number;
  readonly key: string;
  readonly before: unknown;
}

export class SimRedis {
  readonly #world: World;
  readonly #values = new Map<string, unknown>();
  #changes: Change[] = [];
  #state: 'up' | 'down' | 'stopped' = 'up';
  #late: (() => void)[] = [];
  #runId = 1;
  #isGone = false;
  /** Whether every write is on disk before it is acknowledged (appendfsync always). */
  readonly keepsEveryWrite: boolean;

  constructor(world: World, keepsEveryWrite: boolean) {
    this.#world = world;
    this.keepsEveryWrite = keepsEveryWrite;
  }

  /** Null when an acknowledged write may be lost. */
  get continuityMark(): string | null {
    return this.keepsEveryWrite ? `run ${this.#runId}` : null;
  }

  get isUp(): boolean {
    return this.#state === 'up';
  }

  /** What is there is of the shape that whoever wrote it gave it. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
  get<T>(key: string): T | null {
    return (this.#values.get(key) as T | undefined) ?? null;
  }

  /** Values are replaced, never changed. */
  set(key: string, value: unknown): void {
    this.#changes.push({ at: this.#world.time.now, key, before: this.#values.get(key) });
    if (value === null) this.#values.delete(key);
    else this.#values.set(key, value);
  }

  keysFrom(prefix: string): string[] {
    return [...this.#values.keys()].filter((key) => key.startsWith(prefix));
  }

  /** A crash: what was written in the last `losesMs` is gone when it is back. */
  crash(losesMs: number, downMs: number): void {
    if (this.#state === 'down') return;
    const lost = this.keepsEveryWrite ? 0 : losesMs;
    this.#undoSince(this.#world.time.now - lost);
    this.#late = [];
    this.#comeBack(downMs);
  }

  /** Its machine has vanished. */
  vanish(): void {
    this.#isGone = true;
    this.#state = 'down';
    this.#late = [];
  }

  /** Its data is gone. */
  empty(downMs: number): void {
    if (this.#state === 'down') return;
    this.#values.clear();
    this.#changes = [];
    this.#late = [];
    this.#comeBack(downMs);
  }

  /** SIGSTOP, then SIGCONT: what was asked meanwhile is done late. */
  stop(forMs: number): void {
    if (this.#state !== 'up') return;
    this.#state = 'stopped';
    this.#world.time.after(forMs, () => {
      if (this.#state !== 'stopped') return;
      this.#state = 'up';
      for (const act of this.#late.splice(0)) act();
    });
  }

  /**
   * A question of a process, and its answer.
   * @throws CmtError REDIS_UNREACHABLE after two seconds; it may have been done all the same
   */
  call<T>(who: SimProcess, label: string, act: () => T): Promise<T> {
    return who.effect(`redis ${label}`, () => {
      const { links } = this.#world;
      if (links.isCut(who.node, 'redis') || this.#state === 'down') return this.#noAnswer<T>();
      if (this.#state === 'stopped') return this.#answerLate(act);
      const answer = act();
      return links.isCut('redis', who.node) ? this.#noAnswer<T>() : answer;
    });
  }

  #comeBack(downMs: number): void {
    this.#state = 'down';
    this.#runId += 1;
    this.#world.time.after(downMs, () => {
      if (!this.#isGone) this.#state = 'up';
    });
  }

  #undoSince(since: number): void {
    for (
      let last = this.#changes.at(-1);
      last !== undefined && last.at > since;
      last = this.#changes.at(-1)
    ) {
      this.#changes.pop();
      if (last.before === undefined) this.#values.delete(last.key);
      else this.#values.set(last.key, last.before);
    }
    this.#changes = [];
  }

  #answerLate<T>(act: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#late.push(() => resolve(act()));
      this.#world.time.after(ANSWER_MS, () => reject(unreachable()));
    });
  }

  #noAnswer<T>(): Promise<T> {
    return new Promise((_, reject) => this.#world.time.after(ANSWER_MS, () => reject(unreachable())));
  }
}

const unreachable = (): CmtError =>
  new CmtError('REDIS_UNREACHABLE', { url: 'redis://sim', reason: 'no answer' });
