/** A world for saga tests: answers commands with good results, or as a scripted fault says. */
import type {
  Decision,
  Failure,
  Inspection,
  MigrationRequest,
  Resolution,
  Side,
  StepCall,
  StepName,
  StepResult,
} from '@cmt/contracts';
import { MigrationRequest as Request, steps } from '@cmt/contracts';
import { decide, type Command } from '../src/decide.ts';
import { evolve } from '../src/evolve.ts';
import { initial, type Saga, type SagaEvent } from '../src/state.ts';

export const request = (options: Record<string, unknown> = {}): MigrationRequest =>
  Request.parse({
    v: 1,
    id: 'm1',
    container: 'db',
    source: 'alpha',
    target: 'beta',
    options,
    requestedAt: 0,
  });

const endpoint = {
  address: '10.0.0.1',
  sshPort: 22,
  sshUser: 'root',
  sshHostKeys: [],
  receiveSocket: '/run/cmt/receive.sock',
  receivePort: 7070,
  publicKey: 'key',
};
export const facts = (name: string, dirtyTracking = false) => ({
  name,
  kernel: '6.18',
  arch: 'x64',
  criu: '4.2.1',
  runtimes: { runc: '1.3.6' },
  criuProblem: null,
  features: { dirtyTracking, lazyPages: true, zstd: true },
  cpus: 2,
  memoryTotal: 1e9,
  memoryAvailable: 1e9,
  imagesFree: 1e9,
});
export const inspection: Inspection = {
  container: 'db',
  runtime: 'runc',
  bundle: '/srv/db',
  rootfs: '/srv/db/rootfs',
  pids: 1,
  memory: 1e7,
  files: 1e7,
  tcpConnections: 1,
  network: { kind: 'none' },
  mounts: [],
  cpuinfo: '',
};
export const survey = {
  facts: facts('beta'),
  cpuProblem: null,
  nameTaken: false,
  addressesTaken: [],
  missingBridges: [],
  missingMounts: [],
  bundle: 'absent' as const,
  bundleFree: 1e9,
  rsync: true,
  busyWith: null,
};
export const figures = (pagesWritten: number) => ({
  freezingMs: 1,
  frozenMs: 10,
  pagesWritten,
  pagesSkipped: 0,
  bytesSent: pagesWritten * 4096,
  sendMs: pagesWritten / 100,
});
/** A round that began so many milliseconds after the first. */
export const roundFigures = (pagesWritten: number, startedAt: number) => ({
  ...figures(pagesWritten),
  ...{ startedAt, ms: 20 + pagesWritten / 100, filesMs: null },
});

/** What may go wrong, by step: a failure, or an answer that is lost after the step was done. */
export type Fault = { readonly step: StepName; readonly times: number } & (
  { readonly failure: Failure } | { readonly lost: true }
);

export interface World {
  readonly dirtyTracking?: boolean;
  readonly faults?: Fault[];
  /** Cancel when this stage is entered. */
  readonly cancelAt?: Saga['stage'];
  readonly unbroken?: boolean;
  /** What the operator says, one word each time that the saga waits for one. */
  readonly words?: readonly Side[];
}

/** A saga played to its end: every state it was in, and all that was asked of the hosts, in order. */
export interface Played {
  readonly saga: Saga;
  readonly sagas: Saga[];
  readonly asked: string[];
  /** What stood in the record of the operator's words, one after the other. */
  readonly resolutions: (Resolution | null)[];
}

/** Plays a saga to its end. @throws when no end is in sight */
export function play(migration: MigrationRequest, world: World = {}): Played {
  const player = new Player(migration, world);
  for (let turn = 0; player.goesOn(); turn += 1) {
    if (turn > 500) throw new Error(`no end in sight at ${player.saga.stage}`);
    player.turn();
  }
  return player;
}

class Player implements Played {
  saga: Saga;
  readonly sagas: Saga[] = [];
  readonly asked: string[] = [];
  readonly resolutions: (Resolution | null)[] = [];
  readonly #words: Side[];
  readonly #world: World;
  readonly #faults: { fault: Fault; left: number }[];
  readonly #records = new Map<number, Decision>();
  #cancelled = false;
  #at = 1;

  constructor(migration: MigrationRequest, world: World) {
    this.#world = world;
    this.#words = [...(world.words ?? [])];
    this.#faults = (world.faults ?? []).map((fault) => ({ fault, left: fault.times }));
    this.saga = initial(migration, 0);
    this.sagas.push(this.saga);
  }

  /** False at the end. An operator who is waited for says the next word. */
  goesOn(): boolean {
    if (this.saga.end === 'needs-operator') {
      const fenced = this.#words.shift();
      if (fenced !== undefined) this.#happen({ kind: 'resolve', fenced, at: this.#at });
    }
    return this.saga.end === null;
  }

  turn(): void {
    const { stage } = this.saga;
    this.#at += 10_000;
    if (!this.#cancelled && stage === this.#world.cancelAt) {
      this.#cancelled = true;
      this.#happen({ kind: 'cancel', reason: 'asked', at: this.#at });
      return;
    }
    // The armed target waits for the source's word, so of the two legs of a switch the source's ends first.
    for (const command of decide(this.saga).reverse())
      if (command.kind !== 'finish' && this.saga.stage === stage) this.#happen(this.#perform(command));
  }

  #happen(event: SagaEvent): void {
    this.saga = evolve(this.saga, event);
    this.sagas.push(this.saga);
  }

  #perform(command: Exclude<Command, { kind: 'finish' }>): SagaEvent {
    const at = this.#at;
    switch (command.kind) {
      case 'look-up':
        return { kind: 'looked-up', source: { endpoint }, target: { endpoint }, continuityMark: 'r1', at };
      case 'settle':
        return { kind: 'settled', epoch: command.epoch, decision: this.#vote(command.vote), at };
      case 'continuity':
        return { kind: 'continuity', unbroken: this.#world.unbroken ?? true, at };
      case 'resolution':
        this.resolutions.push(command.resolution);
        return { kind: 'recorded', at };
      case 'hook':
        return {
          kind: 'hook-ended',
          task: command.task,
          outcome: { ...hookOutcome, name: command.hook.name },
          at,
        };
      case 'leg':
        return this.#leg(command);
    }
  }

  #leg({ task, host, calls }: Extract<Command, { kind: 'leg' }>): SagaEvent {
    const at = this.#at;
    const results: StepResult[] = [];
    for (const call of calls) {
      this.asked.push(`${host}:${call.step}`);
      steps[call.step].input.parse(call.input);
      const result = this.#answer(call);
      if (result === 'lost')
        return { kind: 'leg-lost', task, failure: { code: 'HOST_UNREACHABLE', details: {} }, at };
      results.push(result);
      if (!result.ok) break;
    }
    return { kind: 'leg-ended', task, results, at };
  }

  #answer({ step, input }: StepCall): StepResult | 'lost' {
    const due = this.#faults.find(({ fault, left }) => fault.step === step && left > 0);
    if (due !== undefined) due.left -= 1;
    if (due !== undefined && 'failure' in due.fault)
      return { ok: false, step, failure: due.fault.failure, ms: 1 };
    const output = this.#good(step, input.fenced === true);
    return due === undefined ? { ok: true, step, output: steps[step].output.parse(output), ms: 1 } : 'lost';
  }

  #vote(vote: Decision): Decision {
    const first = this.#records.get(this.saga.epoch) ?? vote;
    this.#records.set(this.saga.epoch, first);
    return first;
  }

  #good(step: StepName, overruled: boolean): Record<string, unknown> {
    if (step === 'release')
      return {
        decision: overruled ? 'COMMIT' : this.#vote('COMMIT'),
        releasedAt: 1150,
        decideMs: 1,
        openMs: 1,
      };
    if (step === 'discard') return { decision: this.#vote('ABORT') };
    if (step === 'pre-dump')
      return { figures: { ...roundFigures(2000 / 4 ** this.saga.rounds.length, this.#at), filesMs: 1 } };
    if (step === 'inspect')
      return { inspection, facts: facts('alpha', this.#world.dirtyTracking), findings: [] };
    return outputs[step];
  }
}

const hookOutcome = { name: 'pre-freeze', ok: true, code: 0, output: '', ms: 1 } as const;

const outputs: Record<
  Exclude<StepName, 'release' | 'discard' | 'pre-dump' | 'inspect'>,
  Record<string, unknown>
> = {
  validate: { survey },
  prepare: { endpoint, bundleExisted: false },
  'sync-files': { bytes: 1, ms: 1 },
  'freeze-and-dump': { frozenAt: 1000, clockOffsetMs: 50, pauseMs: 5, dumpMs: 40, figures: figures(10) },
  'final-sync': { bytes: 1, ms: 2 },
  'restore-and-hold': { waitMs: 1, restoreMs: 40, criuMs: 20 },
  confirm: { pid: 1, ranMs: 1000 },
  retire: {},
  clean: {},
  resume: { wasFrozen: true, frozenMs: 1 },
  hook: { outcome: hookOutcome },
  doctor: { diagnoses: [] },
};
