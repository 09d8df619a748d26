/** A world for saga tests: answers commands with good results, or as a scripted fault says. */
import type {
  Decision,
  Failure,
  Inspection,
  MigrationRequest,
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
  features: { dirtyTracking, lazyPages: true },
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
}

/** Plays a saga to its end. Returns it with all that was asked for, in order. */
export function play(
  migration: MigrationRequest,
  world: World = {},
): { saga: Saga; asked: string[]; sagas: Saga[] } {
  const faults = (world.faults ?? []).map((fault) => ({ ...fault }));
  const asked: string[] = [];
  let record: Decision | null = null;
  let at = 1;
  let saga = initial(migration, 0);
  const sagas = [saga];
  let cancelled = false;
  const happen = (event: SagaEvent) => {
    saga = evolve(saga, event);
    sagas.push(saga);
  };
  const vote = (decision: Decision): Decision => (record ??= decision);
  const answer = (call: StepCall): StepResult | 'lost' => {
    const fault = faults.find(({ step, times }) => step === call.step && times > 0);
    if (fault !== undefined) (fault as { times: number }).times -= 1;
    if (fault !== undefined && 'failure' in fault)
      return { ok: false, step: call.step, failure: fault.failure, ms: 1 };
    const output = good(call.step, vote, world, saga);
    if (fault !== undefined) return 'lost';
    return { ok: true, step: call.step, output: steps[call.step].output.parse(output), ms: 1 };
  };
  const perform = (command: Command): SagaEvent => {
    if (command.kind === 'look-up')
      return { kind: 'looked-up', source: { endpoint }, target: { endpoint }, continuityMark: 'r1', at };
    if (command.kind === 'settle')
      return { kind: 'settled', epoch: command.epoch, decision: vote(command.vote), at };
    if (command.kind === 'continuity') return { kind: 'continuity', unbroken: world.unbroken ?? true, at };
    if (command.kind === 'hook')
      return {
        kind: 'hook-ended',
        task: command.task,
        outcome: { name: command.hook.name, ok: true, code: 0, output: '', ms: 1 },
        at,
      };
    if (command.kind === 'finish') throw new Error('finish is not performed');
    const results: StepResult[] = [];
    for (const call of command.calls) {
      asked.push(`${command.host}:${call.step}`);
      steps[call.step].input.parse(call.input);
      const result = answer(call);
      if (result === 'lost')
        return {
          kind: 'leg-lost',
          task: command.task,
          failure: { code: 'HOST_UNREACHABLE', details: {} },
          at,
        };
      results.push(result);
      if (!result.ok) break;
    }
    return { kind: 'leg-ended', task: command.task, results, at };
  };
  let epoch = 1;
  for (let turn = 0; saga.end === null; turn += 1) {
    if (turn > 500) throw new Error(`no end in sight at ${saga.stage}`);
    if (saga.epoch !== epoch) [epoch, record] = [saga.epoch, null];
    if (!cancelled && saga.stage === world.cancelAt) {
      cancelled = true;
      happen({ kind: 'cancel', reason: 'asked', at });
      continue;
    }
    // The armed target waits for the source's word, so of the two legs of a switch the source's ends first.
    const stage = saga.stage;
    for (const command of decide(saga).reverse())
      if (command.kind !== 'finish' && saga.stage === stage) happen(perform(command));
    at += 10_000;
  }
  return { saga, asked, sagas };
}

function good(
  step: StepName,
  vote: (d: Decision) => Decision,
  world: World,
  saga: Saga,
): Record<string, unknown> {
  const outputs: Record<StepName, Record<string, unknown>> = {
    inspect: { inspection, facts: facts('alpha', world.dirtyTracking), findings: [] },
    validate: { survey },
    prepare: { endpoint, bundleExisted: false },
    'sync-files': { bytes: 1, ms: 1 },
    'pre-dump': { figures: figures(10_000 / 4 ** saga.rounds.length) },
    'freeze-and-dump': { frozenAt: 1000, clockOffsetMs: 50, pauseMs: 5, dumpMs: 40, figures: figures(10) },
    'final-sync': { bytes: 1, ms: 2 },
    'restore-and-hold': { waitMs: 1, restoreMs: 40, criuMs: 20 },
    release: {
      decision: step === 'release' ? vote('COMMIT') : 'COMMIT',
      releasedAt: 1150,
      decideMs: 1,
      openMs: 1,
    },
    confirm: { pid: 1, ranMs: 1000 },
    retire: {},
    clean: {},
    discard: { decision: step === 'discard' ? vote('ABORT') : 'ABORT' },
    resume: { wasFrozen: true, frozenMs: 1 },
    hook: { outcome: { name: 'pre-freeze', ok: true, code: 0, output: '', ms: 1 } },
  };
  return outputs[step];
}
