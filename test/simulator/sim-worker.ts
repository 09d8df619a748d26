/** A worker of the simulated world: settles its journal, then takes its host's legs and runs the real steps. */
import { CmtError, type Leg, type LegResult, type WorkerConfig } from '@cmt/contracts';
import { noteOf } from '../../apps/worker/src/host-record.ts';
import { runLeg } from '../../apps/worker/src/run-step.ts';
import type { StepContext } from '../../libs/host/src/context.ts';
import type { Journal, JournalEntry } from '../../libs/host/src/journal.ts';
import { PEER_LOOK_MS, PeerSettler } from '../../libs/host/src/peer-settlement.ts';
import { settle, settleFencedSides } from '../../libs/host/src/settle.ts';
import { steps } from '../../libs/host/src/steps/index.ts';
import type { Verdict } from '../../libs/host/src/transports/transport.ts';
import { ANNOUNCE_MS } from '../../libs/queue/src/registry.ts';
import { endpoint } from './sim-facts.ts';
import { IMAGES_DIR, STATE_DIR, type SimHost } from './sim-host.ts';
import { legKey, SimQueue, type LegJob } from './sim-queue.ts';
import { journalOf, machineOf, networkOf, runtimeOf } from './sim-machine.ts';
import { SimOwnership } from './sim-ownership.ts';
import { SimProcess } from './sim-process.ts';
import { stepsOf } from './sim-steps.ts';
import { hostKey } from './sim-rebuilder.ts';
import { linksOf, SimReceiver } from './sim-wire.ts';
import type { World } from './world.ts';

const LOOK_MS = 3_000;
const ADOPT_MS = 5_000;
const ADOPT_LOOK_MS = 200;
const STOP_LOOK_MS = 2_000;
const FENCED_LOOK_MS = 5_000;
const SETTLE_LIMIT_MS = 60_000;

export class SimWorker {
  readonly process: SimProcess;
  readonly receiver: SimReceiver;
  readonly #world: World;
  readonly #host: SimHost;
  readonly #queue: SimQueue;
  readonly #parts: Omit<StepContext, 'migration' | 'epoch' | 'signal'>;
  /** Legs under way in this process, by id. */
  readonly #running = new Map<string, { ownership: SimOwnership; ended: Promise<unknown> }>();
  #looking = false;

  constructor(world: World, host: SimHost) {
    this.#world = world;
    this.#host = host;
    this.process = new SimProcess(world, host.name, host.name);
    this.#queue = new SimQueue(world.redis, this.process);
    this.receiver = new SimReceiver(host, this.process);
    const runtime = runtimeOf(host, this.process);
    const { rules } = world;
    this.#parts = {
      config: {
        name: host.name,
        imagesDir: IMAGES_DIR,
        stateDir: STATE_DIR,
        hooks: [],
      } as unknown as WorkerConfig,
      endpoint,
      machine: machineOf(host, this.process),
      journal: rules.journal(journalOf(host, this.process, rules.checksEpoch), this.process),
      decisions: rules.decisions(this.#queue.decisions(), this.process),
      runtimes: { get: () => runtime, all: () => [runtime] },
      network: networkOf(host, this.process),
      links: linksOf(host, this.process),
      receiver: this.receiver,
      tell: () => undefined,
    };
  }

  get journal(): Journal {
    return this.#parts.journal;
  }

  get isBusy(): boolean {
    return this.#running.size > 0;
  }

  async start(): Promise<void> {
    if (this.#world.rules.syncsAtStart)
      await this.process.effect('journal sync', () => this.#host.syncJournal());
    await settle(this.journal, this.#settling);
    this.#announce();
    this.#look();
    this.#lookForStops();
    this.#lookForFenced();
    this.#settleWithPeers(new PeerSettler(this.journal, this.#settling));
  }

  readonly #settling = (entry: JournalEntry): StepContext =>
    this.#contextOf(entry, this.process.clock.limit(SETTLE_LIMIT_MS));

  /** As apps/worker does it. */
  #settleWithPeers(peers: PeerSettler): void {
    const again = () => this.process.after(PEER_LOOK_MS, () => this.#settleWithPeers(peers));
    peers.look().then(again, again);
  }

  /** As apps/worker does it. */
  #lookForFenced(): void {
    const again = () => this.process.after(FENCED_LOOK_MS, () => this.#lookForFenced());
    settleFencedSides(this.journal, this.#settling).then(again, again);
  }

  /** The other host's source asks. */
  async withdraw(migration: string, epoch: number): Promise<Verdict> {
    const entry = await this.journal.read(migration);
    if (entry === null) return 'UNKNOWN';
    const verdict = await this.#world.rules.withdraw(epoch, this.#settling(entry));
    const { runtime, container, bundle, network } = entry;
    if (verdict === 'ABORT')
      void steps
        .discard({ subject: { runtime, container, bundle }, network }, this.#settling(entry))
        .catch(() => undefined);
    return verdict;
  }

  /** A leg is there: look now instead of at the next turn. */
  wake(): void {
    if (this.process.isAlive) void this.#takeAll();
  }

  /** The queue hands out once more what is under way. */
  deliverAgain(): void {
    for (const id of this.#running.keys()) {
      const job = this.#world.redis.get<LegJob>(legKey(this.#host.name, id));
      const signal = new AbortController().signal;
      if (job !== null) void this.#run(job.leg, signal).catch(() => undefined);
    }
  }

  /** A leg of long ago comes once more. Its result is nobody's. */
  replay(share: number): void {
    const legs = this.#world.begunLegs.filter(({ host }) => host === this.#host.name);
    const leg = legs[Math.floor(share * legs.length)];
    if (leg !== undefined && this.process.isAlive)
      void this.#run(leg, new AbortController().signal).catch(() => undefined);
  }

  #look(): void {
    void this.#takeAll();
    this.process.after(LOOK_MS, () => this.#look());
  }

  async #takeAll(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      for (let taken = await this.#queue.takeLeg(this.#host.name); taken !== null;) {
        this.#begin(taken.id, taken.token);
        taken = await this.#queue.takeLeg(this.#host.name);
      }
    } catch {
      // Redis is away: the next look comes.
    } finally {
      this.#looking = false;
    }
  }

  #begin(id: string, token: string): void {
    const ownership = new SimOwnership(this.process, () => this.#queue.extendLeg(this.#host.name, id, token));
    const before = this.#running.get(id)?.ended;
    const ended = this.#work(id, token, ownership, before)
      .catch(() => this.#queue.giveLegBack(this.#host.name, id, token))
      .catch(() => undefined)
      .finally(() => {
        ownership.end();
        if (this.#running.get(id)?.ended === ended) this.#running.delete(id);
      });
    this.#running.set(id, { ownership, ended });
  }

  async #work(id: string, token: string, ownership: SimOwnership, before?: Promise<unknown>): Promise<void> {
    await before;
    ownership.assertOwned();
    const job = await this.#queue.leg(this.#host.name, id);
    if (job === null) return;
    const result = await this.#resultOf(id, job, ownership);
    await this.#queue.completeLeg(this.#host.name, id, token, result, ownership.signal);
  }

  /** As libs/queue/src/consume-legs.ts: what is refused, or stopped before it begins, has that as its result. */
  async #resultOf(id: string, job: LegJob, ownership: SimOwnership): Promise<LegResult> {
    try {
      await this.#assertWanted(id, job, ownership.signal);
      const earlier = await this.process.effect('ledger read', () => this.#host.ledger.get(id) ?? null);
      if (earlier !== null) return earlier;
      const stop = await this.#queue.stopReason(this.#host.name, id);
      this.#world.begunLegs.push(job.leg);
      const result =
        stop === null
          ? await this.#run(job.leg, ownership.signal)
          : failed(job.leg, new CmtError('CANCELLED', { reason: stop }));
      if (ownership.isHandedBack && !isComplete(job.leg, result)) throw ownership.signal.reason as Error;
      await this.process.effect('ledger write', () => void this.#host.ledger.set(id, result));
      return result;
    } catch (error) {
      // What Redis does not answer, it cannot be told either: the leg is begun again.
      if (!(error instanceof CmtError) || error.failure.code === 'REDIS_UNREACHABLE') throw error;
      return failed(job.leg, error);
    }
  }

  async #assertWanted(id: string, job: LegJob, signal: AbortSignal): Promise<void> {
    const { clock } = this.process;
    for (const deadline = clock.elapsed() + ADOPT_MS; ; await clock.wait(ADOPT_LOOK_MS, signal)) {
      if (await this.#queue.isWanted(this.#host.name, id, job)) return;
      if (clock.elapsed() > deadline) break;
    }
    if (!this.#world.rules.obeysStaleCoordinators)
      throw new CmtError('INTERNAL', { host: this.#host.name, step: id, reason: 'not wanted' });
  }

  #run(leg: Leg, signal: AbortSignal): Promise<LegResult> {
    return runLeg({
      leg,
      host: this.#host.name,
      signal,
      steps: stepsOf(this.#world, this.#host, this.process),
      clock: this.process.clock,
      contextFor: (_, own) => this.#contextOf(leg, own),
      onStarted: () => undefined,
      onEnded: () => undefined,
      onBroken: (step, error) => this.#world.note(this.process, `${step} broke: ${String(error)}`),
    });
  }

  #contextOf({ migration, epoch }: { migration: string; epoch: number }, signal: AbortSignal): StepContext {
    return this.#world.rules.context({ ...this.#parts, migration, epoch, signal });
  }

  /** What the host's journal says, for coordinators whose Redis has forgotten it. */
  #announce(): void {
    const { redis, time } = this.#world;
    const notes = [...this.#host.journal.values()].map(noteOf);
    void redis
      .call(this.process, 'announce', () => redis.set(hostKey(this.#host.name), { at: time.now, notes }))
      .catch(() => undefined);
    this.process.after(ANNOUNCE_MS, () => this.#announce());
  }

  #lookForStops(): void {
    for (const [id, { ownership }] of this.#running)
      void this.#queue.stopReason(this.#host.name, id).then(
        (reason) => reason !== null && ownership.abort(new CmtError('CANCELLED', { reason })),
        () => undefined,
      );
    this.process.after(STOP_LOOK_MS, () => this.#lookForStops());
  }

  /** The message that a leg is to be stopped. */
  stopLeg(id: string, reason: string): void {
    this.#running.get(id)?.ownership.abort(new CmtError('CANCELLED', { reason }));
  }
}

const isComplete = (leg: Leg, { results }: LegResult): boolean =>
  results.length === leg.calls.length && results.every(({ ok }) => ok);

const failed = (leg: Leg, { failure }: CmtError): LegResult => ({
  v: 1,
  results: [{ ok: false, step: leg.calls[0]?.step ?? 'inspect', failure, ms: 0 }],
});
