/**
 * A process that can die, or be stopped, at any await. Everything real code waits for in the simulated world goes through
 * `effect`: what a dead process waited for never answers it, so its code simply ends there, `finally` blocks included.
 */
import type { Clock } from '../../libs/host/src/machine.ts';
import type { Node, Role, World } from './world.ts';

export interface EffectOptions {
  /** Milliseconds until it takes place. */
  readonly ms?: number;
  /** What the caller gives up on. */
  readonly signal?: AbortSignal;
}

export class SimProcess {
  readonly world: World;
  readonly role: Role;
  readonly node: Node;
  #state: 'runs' | 'stopped' | 'dead' = 'runs';
  #parked: (() => void)[] = [];
  readonly #whenDead: (() => void)[] = [];

  constructor(world: World, role: Role, node: Node) {
    this.world = world;
    this.role = role;
    this.node = node;
  }

  get isAlive(): boolean {
    return this.#state !== 'dead';
  }

  get isStopped(): boolean {
    return this.#state === 'stopped';
  }

  onDeath(act: () => void): void {
    this.#whenDead.push(act);
  }

  kill(): void {
    if (!this.isAlive) return;
    this.#state = 'dead';
    this.#parked = [];
    for (const act of this.#whenDead.splice(0)) act();
  }

  /** SIGSTOP. */
  stop(): void {
    if (this.#state === 'runs') this.#state = 'stopped';
  }

  /** SIGCONT: what came meanwhile is delivered now, in order. */
  goOn(): void {
    if (this.#state !== 'stopped') return;
    this.#state = 'runs';
    for (const act of this.#parked.splice(0)) this.deliver(act);
  }

  /** Lets the process notice something: at once, when it is continued, or never. */
  deliver(act: () => void): void {
    if (this.#state === 'dead') return;
    if (this.#state === 'stopped') this.#parked.push(act);
    else act();
  }

  after(ms: number, act: () => void): void {
    this.world.time.after(ms, () => this.deliver(act));
  }

  /** Something outside this process happens, at one instant, and the process is told what came of it. */
  effect<T>(label: string, act: () => T | Promise<T>, { ms, signal }: EffectOptions = {}): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const spoiled = this.world.moment(this, label, 'before');
      if (spoiled?.kind === 'hang' && signal !== undefined) return this.#hang(signal, reject);
      this.after(ms ?? this.world.latency(), () => {
        if (spoiled?.kind === 'fail') return reject(spoiled.error);
        const happened = outcomeOf(act);
        const after = this.world.moment(this, label, 'after');
        happened.then(
          (value) =>
            this.deliver(() => (after?.kind === 'lose-answer' ? reject(after.error) : resolve(value))),
          (error: unknown) => this.deliver(() => reject(errorOf(error))),
        );
      });
    });
  }

  /** The clock as this process sees it: it fires late when the process is stopped, and never when it is dead. */
  readonly clock: Clock = {
    now: () => this.world.time.now,
    elapsed: () => this.world.time.elapsed,
    wait: (ms, signal) =>
      new Promise((resolve, reject) => {
        const abort = () => reject(signal?.reason as Error);
        if (signal?.aborted) return abort();
        signal?.addEventListener('abort', abort, { once: true });
        this.after(ms, () => {
          signal?.removeEventListener('abort', abort);
          resolve();
        });
      }),
    limit: (ms) => {
      const controller = new AbortController();
      this.after(ms, () => controller.abort(new Error(`${ms} ms have passed`)));
      return controller.signal;
    },
  };

  #hang(signal: AbortSignal, reject: (error: Error) => void): void {
    const abort = () => this.deliver(() => reject(signal.reason as Error));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  }
}

const errorOf = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));

function outcomeOf<T>(act: () => T | Promise<T>): Promise<T> {
  try {
    return Promise.resolve(act());
  } catch (error) {
    return Promise.reject(errorOf(error));
  }
}
