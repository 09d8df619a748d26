/** The simulated world: two hosts with a worker each, one or two coordinators, Redis, the links between them, and what goes wrong. */
import { MigrationRequest, type Leg, type MigrationState } from '@cmt/contracts';
import { CutLinks } from './cut-links.ts';
import type { Deed, Fault, Scenario } from './faults.ts';
import { Promises } from './promises.ts';
import type { Rules } from './rules.ts';
import { SimCoordinator } from './sim-coordinator.ts';
import { CONTAINER, SimHost } from './sim-host.ts';
import { SimOperator } from './sim-operator.ts';
import type { SimProcess } from './sim-process.ts';
import { cancelKey, migrationKey, type LegJob, type MigrationJob } from './sim-queue.ts';
import { SimRedis } from './sim-redis.ts';
import { SimWorker } from './sim-worker.ts';
import { spoiledBy, type Spoiled } from './spoiled.ts';
import { Random, VirtualTime } from './virtual-time.ts';

export type HostNode = 'alpha' | 'beta';
export type Node = HostNode | 'redis' | 'control';
export type Role = HostNode | 'coordinator';

/** Migrations at most, so that operators who ask again come to an end. */
const MOST_MIGRATIONS = 4;
const RESTART_MS = 20;
/** Milliseconds in which two hosts that hear each other have settled what they can. */
const SETTLED_MS = 60_000;

export class World {
  readonly time = new VirtualTime();
  readonly random: Random;
  readonly links = new CutLinks();
  readonly promises: Promises;
  readonly redis: SimRedis;
  readonly rules: Rules;
  readonly operator = new SimOperator(this);
  readonly hosts: readonly SimHost[];
  /** Ids of the migrations that somebody asked for. */
  readonly asked: string[] = [];
  readonly awaits: Record<Role, number> = { alpha: 0, beta: 0, coordinator: 0 };
  /** Where a process was killed: role, what it waited for, before or after it took place. */
  readonly crashPoints = new Set<string>();
  readonly notes: string[] = [];
  /** All legs that were ever begun. */
  readonly begunLegs: Leg[] = [];
  redisHasLost = false;
  clientIsGone = false;
  /** Votes for COMMIT that were sent, whatever became of them. */
  readonly votesSent = new Set<string>();
  fired = 0;
  readonly #failingRestores = new Set<HostNode>();
  /** Faults that are not over yet. */
  #lasting = 0;
  #tokens = 0;
  readonly #scenario: Scenario;
  #pending: Fault[];
  readonly #workers = new Map<HostNode, SimWorker>();
  readonly #coordinators: SimCoordinator[] = [];

  constructor(scenario: Scenario, rules: Rules) {
    this.#scenario = scenario;
    this.rules = rules;
    this.random = new Random(scenario.seed ^ 0x5bd1e995);
    this.#pending = [...scenario.faults];
    this.promises = new Promises(this);
    this.redis = new SimRedis(this, scenario.redisKeepsEveryWrite);
    this.hosts = (['alpha', 'beta'] as const).map((name) => new SimHost(this, name));
  }

  get faultCount(): number {
    return this.#scenario.faults.length + this.operator.words;
  }

  begin(): void {
    this.host('alpha').startContainer();
    for (const { name } of this.hosts) this.#startWorker(name);
    for (let n = 0; n < this.#scenario.coordinators; n += 1) this.#startCoordinator();
    this.ask('alpha');
    for (const fault of this.#pending)
      if ('atMs' in fault.trigger) this.time.after(fault.trigger.atMs, () => this.#fire(fault));
    if (this.#scenario.operator !== null) this.operator.watch(this.#scenario.operator);
  }

  /** Whether something is still going on, or will. */
  get goesOn(): boolean {
    if (this.#lasting > 0) return true;
    if (this.clientIsGone) return false;
    if (this.#pending.some(({ trigger }) => 'atMs' in trigger)) return true;
    if (this.asked.some((id) => this.migration(id).end === null)) return true;
    const isAtWork = ({ process, isBusy }: SimWorker | SimCoordinator) => process.isAlive && isBusy;
    return this.#coordinators.some(isAtWork) || [...this.#workers.values()].some(isAtWork);
  }

  /** Every hand-over is closed, every leg has its result, and everybody is there. */
  get isSettled(): boolean {
    if (this.clientIsGone || [...this.#workers.values()].some(({ process }) => !process.isAlive))
      return false;
    if (this.hosts.some(({ journal }) => [...journal.values()].some(({ closed }) => !closed))) return false;
    const legs = this.redis.keysFrom('leg:').map((key) => this.redis.get<LegJob>(key));
    return legs.every((leg) => leg?.phase === 'completed');
  }

  /** How a migration stands. One that Redis has forgotten, and no host has begun, is over: who asked is told that nobody knows it. */
  migration(id: string): { end: MigrationState | 'forgotten' | null; stage: string; reason: string | null } {
    const job = this.redis.get<MigrationJob>(migrationKey(id));
    if (job === null) {
      const isBegun = this.hosts.some((host) => host.journal.get(id)?.closed === false);
      return { end: isBegun ? null : 'forgotten', stage: 'forgotten', reason: null };
    }
    const { state, isDone } = job;
    return {
      end: isDone ? (state?.end ?? null) : null,
      stage: state?.stage ?? 'nothing',
      reason: state?.failure?.code ?? null,
    };
  }

  host = (name: HostNode): SimHost => this.hosts[name === 'alpha' ? 0 : 1]!;
  other = ({ name }: SimHost): SimHost => this.host(name === 'alpha' ? 'beta' : 'alpha');
  worker = (name: HostNode): SimWorker | undefined => this.#workers.get(name);
  latency = (): number => this.random.between(0.2, 2);
  nextToken = (): string => `token ${(this.#tokens += 1)}`;

  wake(host: string): void {
    this.time.after(this.latency(), () => this.worker(host as HostNode)?.wake());
  }

  /** A leg has ended. */
  wakeCoordinators(): void {
    this.time.after(this.latency(), () => this.#coordinators.forEach((coordinator) => coordinator.wake()));
  }

  tellStop(host: string, leg: string, reason: string): void {
    const worker = this.worker(host as HostNode);
    worker?.process.deliver(() => worker.stopLeg(leg, reason));
  }

  /** Somebody asks for the container to be moved away from that host. */
  ask(from: HostNode): void {
    if (this.asked.length >= MOST_MIGRATIONS || !this.redis.isUp) return;
    const id = `m${this.asked.length + 1}`;
    const hooks = this.#scenario.preRestoreHook
      ? [{ name: 'pre-restore', place: 'coordinator', argv: ['/bin/true'], timeoutMs: 1000 }]
      : [];
    const request = MigrationRequest.parse({
      ...{ v: 1, id, container: CONTAINER, source: from, target: from === 'alpha' ? 'beta' : 'alpha' },
      options: { confirmForMs: 100, hooks },
      requestedAt: Math.floor(this.time.now),
    });
    const job: MigrationJob = {
      ...{ request, origin: 'asked', state: null, lease: 0, lock: null, isDone: false, word: null },
    };
    this.asked.push(id);
    this.redis.set(migrationKey(id), job);
  }

  note(who: SimProcess, text: string): void {
    this.notes.push(`${Math.round(this.time.elapsed)} ${who.role}: ${text}`);
  }

  /** Why the restore that begins now will fail, or null. */
  restoreFails = (host: HostNode): string | null =>
    this.#failingRestores.delete(host) ? 'the kernel refuses it' : null;

  /** A process is about to wait for something, or it has just taken place. */
  moment(who: SimProcess, label: string, when: 'before' | 'after'): Spoiled | null {
    if (when === 'before') this.awaits[who.role] += 1;
    if (this.#pending.length === 0) return null;
    const nth = this.awaits[who.role];
    const due = this.#pending.filter(
      ({ trigger }) =>
        'role' in trigger &&
        trigger.role === who.role &&
        trigger.when === when &&
        ('first' in trigger ? trigger.first === label : trigger.nth === nth),
    );
    if (due.length === 0) return null;
    for (const fault of due) this.#meet(fault, who, `${label} ${when}`);
    const spoiling = due.map(({ deed }) => spoiledBy(deed, label, who));
    return spoiling.find((spoiled) => spoiled !== null) ?? null;
  }

  /** A fault of this very process at this very moment. */
  #meet(fault: Fault, who: SimProcess, moment: string): void {
    if (fault.deed.kind !== 'kill' || fault.deed.role !== who.role) return this.#fire(fault);
    this.crashPoints.add(`${who.role} ${moment}`);
    this.#count(fault);
    this.#kill(who, fault.deed.backAfterMs);
  }

  #fire(fault: Fault): void {
    this.#count(fault);
    this.#do(fault.deed);
  }

  #count(fault: Fault): void {
    this.#pending = this.#pending.filter((other) => other !== fault);
    this.fired += 1;
    this.notes.push(`${Math.round(this.time.elapsed)} ${JSON.stringify(fault.deed)}`);
  }

  #do(deed: Deed): void {
    switch (deed.kind) {
      case 'kill':
        for (const process of this.#processes(deed.role)) this.#kill(process, deed.backAfterMs);
        return;
      case 'stop':
        for (const process of this.#processes(deed.role)) {
          process.stop();
          this.later(deed.forMs, () => process.goOn());
        }
        return;
      case 'power':
        return this.power(deed.host, deed.forMs);
      case 'cut':
        return this.#cut(deed);
      case 'redis-crash':
        if (!this.redis.keepsEveryWrite) this.redisHasLost = true;
        this.redis.crash(deed.losesMs, deed.downMs);
        return this.later(deed.downMs, () => undefined);
      case 'redis-emptied':
        this.redisHasLost = true;
        this.redis.empty(deed.downMs);
        return this.later(deed.downMs, () => undefined);
      case 'client-gone':
        return this.#loseClient();
      case 'redis-stop':
        this.redis.stop(deed.forMs);
        return this.later(deed.forMs, () => undefined);
      case 'cancel':
        if (this.redis.isUp) this.redis.set(cancelKey(this.asked.at(-1) ?? ''), 'somebody asked');
        return;
      case 'resolve':
        return this.operator.resolve(deed.word);
      case 'again':
        return this.ask(deed.from);
      case 'duplicate':
        return this.worker(deed.host)?.deliverAgain();
      case 'replay':
        return this.worker(deed.host)?.replay(deed.share);
      case 'restore-fails':
        this.#failingRestores.add(deed.host);
        return;
      case 'lose-answer':
      case 'fail':
      case 'hang':
    }
  }

  /** Takes a host off the network. */
  unplug(host: HostNode, forMs: number): void {
    for (const to of ['redis', host === 'alpha' ? 'beta' : 'alpha'] as const)
      this.#cut({ kind: 'cut', from: host, to, bothWays: true, forMs });
  }

  /** Redis and every coordinator, for ever. What the hosts then do by themselves, they have done within a minute. */
  #loseClient(): void {
    this.clientIsGone = true;
    this.redis.vanish();
    for (const { process } of this.#coordinators) process.kill();
    this.later(SETTLED_MS, () => undefined);
  }

  #cut({ from, to, bothWays, forMs }: Extract<Deed, { kind: 'cut' }>): void {
    const change = (by: 1 | -1) => {
      this.links.cut(from, to, by);
      if (bothWays) this.links.cut(to, from, by);
    };
    change(1);
    this.later(forMs, () => change(-1));
  }

  power(name: HostNode, forMs: number): void {
    const host = this.host(name);
    if (!host.isUp) return;
    this.worker(name)?.process.kill();
    const { copy } = host;
    host.losePower();
    this.promises.powerLost(copy);
    this.later(forMs, () => {
      host.isUp = true;
      this.#startWorker(name);
    });
  }

  #processes(role: Role): SimProcess[] {
    if (role !== 'coordinator')
      return [this.worker(role)?.process].filter((process) => process !== undefined);
    return this.#coordinators.map(({ process }) => process).filter(({ isAlive }) => isAlive);
  }

  #kill(process: SimProcess, backAfterMs: number): void {
    if (!process.isAlive) return;
    process.kill();
    const { role } = process;
    this.later(backAfterMs + RESTART_MS, () => {
      if (role === 'coordinator') {
        if (!this.clientIsGone) this.#startCoordinator();
      } else if (this.host(role).isUp && this.worker(role)?.process.isAlive !== true) this.#startWorker(role);
    });
  }

  later(ms: number, act: () => void): void {
    this.#lasting += 1;
    this.time.after(ms, () => {
      this.#lasting -= 1;
      act();
    });
  }

  #startWorker(name: HostNode): void {
    const worker = new SimWorker(this, this.host(name));
    this.#workers.set(name, worker);
    // A worker that cannot read its journal ends, and is started again.
    worker.start().catch(() => this.#kill(worker.process, RESTART_MS));
  }

  #startCoordinator(): void {
    const coordinator = new SimCoordinator(this);
    this.#coordinators.push(coordinator);
    coordinator.start();
  }
}
