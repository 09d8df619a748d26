/** A coordinator of the simulated world: takes migrations and drives them with the real `runMigration`. */
import { CmtError, type Decision, type Leg, type LegResult, type MigrationRequest } from '@cmt/contracts';
import type { Saga, SagaEvent } from '@cmt/saga';
import type { LegOrder, Ports } from '../../apps/coordinator/src/ports.ts';
import { runMigration } from '../../apps/coordinator/src/run-migration.ts';
import { takeUp } from '../../apps/coordinator/src/take-up.ts';
import { LegWatch } from '../../libs/queue/src/leg-watch.ts';
import { Fenced } from '../../libs/queue/src/ownership.ts';
import { endpoint } from './sim-facts.ts';
import { SimOwnership } from './sim-ownership.ts';
import { SimProcess } from './sim-process.ts';
import { SimQueue, type MigrationJob } from './sim-queue.ts';
import { SimRebuilder } from './sim-rebuilder.ts';
import type { World } from './world.ts';

const LOOK_MS = 1_500;
const DISPATCH_LOOK_MS = 1_000;
const CANCEL_LOOK_MS = 1_000;
const AGAIN_MS = 200;

export class SimCoordinator {
  readonly process: SimProcess;
  readonly #world: World;
  readonly #queue: SimQueue;
  readonly #rebuilder: SimRebuilder;
  readonly #wakers = new Set<() => void>();
  #driving = 0;

  constructor(world: World) {
    this.#world = world;
    this.process = new SimProcess(world, 'coordinator', 'control');
    this.#queue = new SimQueue(world.redis, this.process);
    this.#rebuilder = new SimRebuilder(world.redis, this.process);
  }

  get isBusy(): boolean {
    return this.#driving > 0;
  }

  start(): void {
    void this.#look();
    this.#rebuilder.start();
  }

  /** The message that a leg has ended, or that somebody asks for a cancel. */
  wake(): void {
    this.process.deliver(() => [...this.#wakers].forEach((wake) => wake()));
  }

  async #look(): Promise<void> {
    const taken = await this.#queue.takeMigration().catch(() => null);
    if (taken !== null) void this.#drive(taken.id, taken.token);
    this.process.after(LOOK_MS, () => void this.#look());
  }

  async #drive(id: string, token: string): Promise<void> {
    this.#driving += 1;
    const ownership = new SimOwnership(this.process, () => this.#queue.extendMigration(id, token));
    try {
      const job = await this.#untilAnswered(ownership.signal, () => this.#queue.migration(id));
      if (job === null) return;
      const { request, origin, state: stored } = job;
      const ports = this.#ports(job, token, ownership);
      const announced = (about: MigrationRequest) =>
        this.#untilAnswered(ownership.signal, () => this.#rebuilder.announced(about));
      const begun = await takeUp({ request, origin, stored, announced }, ports, ownership.signal);
      const word = wordOf(job, begun, this.process.clock.now());
      if (begun.end === null || word !== null) await runMigration(begun, ports, ownership.signal, word);
      ownership.assertOwned();
      await this.#queue.saveMigration(id, token, { isDone: true, lock: null, word: null });
    } catch (error) {
      if (!(error instanceof Fenced)) this.#world.note(this.process, `lets go of ${id}: ${String(error)}`);
      await this.#queue.saveMigration(id, token, { lock: null }).catch(() => false);
    } finally {
      ownership.end();
      this.#driving -= 1;
    }
  }

  #ports(job: MigrationJob, token: string, ownership: SimOwnership): Ports {
    const { signal } = ownership;
    const { id } = job.request;
    const decisions = this.#queue.decisions();
    const { rules, time } = this.#world;
    return {
      now: () => time.now,
      wait: (ms, stop) => this.process.clock.wait(ms, stop),
      lookUp: async ({ request }) => ({
        ...{ source: { endpoint }, target: { endpoint } },
        continuityMark: await this.#untilAnswered(signal, () => this.#queue.continuityMark()),
        journals: await this.#untilAnswered(signal, () => this.#rebuilder.announced(request)),
      }),
      dispatch: (order, stop) => this.#dispatch(order, job.lease, ownership, stop),
      runHook: async (hook) => {
        await this.process.clock.wait(50);
        return { name: hook.name, ok: true, code: 0, output: '', ms: 50 };
      },
      settle: (epoch, vote, stop): Promise<Decision> =>
        this.#untilAnswered(AbortSignal.any([signal, stop]), () => decisions.settle(id, epoch, vote, signal)),
      resolve: (resolution, stop) => this.#untilAnswered(stop, () => this.#queue.resolve(id, resolution)),
      continuity: async (mark, stop) => {
        const now = await this.#untilAnswered(stop, () => this.#queue.continuityMark());
        return rules.isContinuous(mark !== null && mark === now);
      },
      save: async (saga: Saga) => {
        ownership.assertOwned();
        const saved = await this.#untilAnswered(signal, () =>
          this.#queue.saveMigration(id, token, { state: saga }),
        );
        if (!saved) throw new Fenced('another coordinator has taken the migration over');
      },
      onCancel: (asked) => this.#onCancel(id, signal, asked),
      onTuned: () => undefined,
      tell: () => undefined,
    };
  }

  #onCancel(id: string, signal: AbortSignal, asked: (reason: string) => void): () => void {
    let listens = true;
    const look = (): void => {
      if (!listens || signal.aborted) return;
      this.#queue.cancelReason(id).then(
        (reason) => {
          if (reason === null || !listens) return;
          listens = false;
          asked(reason);
        },
        () => undefined,
      );
      this.process.after(CANCEL_LOOK_MS, look);
    };
    look();
    return () => (listens = false);
  }

  /** As libs/queue/src/dispatch.ts does. */
  async #dispatch(
    order: LegOrder,
    lease: number,
    ownership: SimOwnership,
    stop: AbortSignal,
  ): Promise<LegResult> {
    ownership.assertOwned();
    const { signal } = ownership;
    const { task, migration, host, epoch, calls, limitMs, patience } = order;
    const leg: Leg = { v: 1, task, migration, host, epoch, try: order.try, calls: [...calls], issuedAt: 0 };
    const id = `${migration}_${task}`;
    await this.#untilAnswered(signal, () => this.#queue.addLeg(leg, id, lease));
    const watch = new LegWatch({ ...patience, limitMs }, this.process.clock.elapsed());
    for (let stopped = false; ;) {
      const status = await this.#untilAnswered(signal, () => this.#queue.leg(host, id));
      if (status === null)
        throw new CmtError('INTERNAL', { host, step: task, reason: 'its job has vanished' });
      if (status.result !== null) return status.result;
      if (stop.aborted && !stopped) {
        const withdrawn = await this.#stop(host, id, stop.reason, signal);
        if (withdrawn) return cancelled(order);
        stopped = true;
      }
      const locked = status.lock !== null && status.lock.until > this.#world.time.now;
      const phase = status.phase === 'completed' ? 'completed' : status.phase;
      if (watch.isLost({ phase, locked }, this.process.clock.elapsed())) {
        await this.#stop(
          host,
          id,
          new CmtError('CANCELLED', { reason: 'nobody waits for it any more' }),
          signal,
        );
        throw new CmtError('HOST_UNREACHABLE', { host });
      }
      await this.#pause(signal, stopped ? [] : [stop]);
    }
  }

  async #stop(host: string, id: string, reason: unknown, owned: AbortSignal): Promise<boolean> {
    if (!(reason instanceof CmtError)) throw reason as Error;
    const why = String(reason.failure.details.reason ?? reason.message);
    if (await this.#untilAnswered(owned, () => this.#queue.withdraw(host, id))) return true;
    await this.#untilAnswered(owned, () => this.#queue.askStop(host, id, why));
    return false;
  }

  /** Until the next look, a message, or the end of one of these. */
  #pause(owned: AbortSignal, signals: readonly AbortSignal[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = () => {
        this.#wakers.delete(done);
        if (owned.aborted) reject(owned.reason as Error);
        else resolve();
      };
      this.#wakers.add(done);
      for (const signal of [owned, ...signals])
        if (signal.aborted) return done();
        else signal.addEventListener('abort', done, { once: true });
      this.process.after(DISPATCH_LOOK_MS, done);
    });
  }

  async #untilAnswered<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      try {
        return await ask();
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof CmtError)) throw error;
        await this.process.clock.wait(AGAIN_MS, signal);
      }
    }
  }
}

/** What an operator has said to a migration that had ended for want of it. */
const wordOf = ({ word, state }: MigrationJob, begun: Saga, at: number): SagaEvent | null =>
  word !== null && state?.end === 'needs-operator' && begun.end !== null
    ? { kind: 'resolve', fenced: word, at }
    : null;

const cancelled = ({ calls }: LegOrder): LegResult => ({
  v: 1,
  results: [
    {
      ok: false,
      step: calls[0]?.step ?? 'inspect',
      failure: { code: 'CANCELLED', details: { reason: 'withdrawn' } },
      ms: 0,
    },
  ],
});
