import {
  CmtError,
  MigrationRequest,
  steps,
  type Decision,
  type LegResult,
  type StepCall,
  type StepResult,
  type Tuning,
} from '@cmt/contracts';
import { thisClock } from '@cmt/host';
import { initial, type Saga } from '@cmt/saga';
import { describe, expect, it } from 'vitest';
import type { LegOrder, Ports } from './ports.ts';
import { runMigration } from './run-migration.ts';

const request = MigrationRequest.parse({
  v: 1,
  id: 'm1',
  container: 'db',
  source: 'alpha',
  target: 'beta',
  options: { sharedRootfs: true },
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
const facts = (name: string) => ({
  name,
  kernel: '6.1',
  arch: 'x64',
  criu: '4.2',
  runtimes: { runc: '1.3' },
  criuProblem: null,
  features: { dirtyTracking: false, lazyPages: true },
  cpus: 2,
  memoryTotal: 1e9,
  memoryAvailable: 1e9,
  imagesFree: 1e9,
});
const inspection = {
  container: 'db',
  runtime: 'runc',
  bundle: '/srv/db',
  rootfs: '/srv/db/rootfs',
  pids: 1,
  memory: 1,
  files: 1,
  tcpConnections: 0,
  network: { kind: 'none' },
  mounts: [],
  cpuinfo: '',
};
const survey = {
  facts: facts('beta'),
  cpuProblem: null,
  nameTaken: false,
  addressesTaken: [],
  missingBridges: [],
  missingMounts: [],
  bundle: 'ours',
  bundleFree: 1e9,
  rsync: true,
  busyWith: null,
};
const figures = { freezingMs: 1, frozenMs: 1, pagesWritten: 1, pagesSkipped: 0, bytesSent: 1, sendMs: 1 };
const outputs: Record<string, Record<string, unknown>> = {
  inspect: { inspection, facts: facts('alpha'), findings: [] },
  validate: { survey },
  prepare: { endpoint, bundleExisted: false },
  'freeze-and-dump': { frozenAt: 0, clockOffsetMs: 0, pauseMs: 1, dumpMs: 1, figures },
  'final-sync': { bytes: 0, ms: 0 },
  'restore-and-hold': { waitMs: 0, restoreMs: 1, criuMs: 1 },
  confirm: { pid: 1, ranMs: 1 },
  retire: {},
  clean: {},
  resume: { wasFrozen: true, frozenMs: 1 },
};

/** Ports that answer well; `orders` and `log` record what was asked, in order with the saves. */
class TestPorts implements Ports {
  readonly log: string[] = [];
  readonly orders: LegOrder[] = [];
  #decision: Decision | null = null;
  #ask: (reason: string) => void = () => undefined;
  /** Replaces the answer to a step. */
  readonly answers = new Map<string, (order: LegOrder, signal: AbortSignal) => Promise<LegResult>>();

  now = () => thisClock.now();
  wait = (ms: number, signal: AbortSignal) => thisClock.wait(ms, signal);
  lookUp = () => Promise.resolve({ source: { endpoint }, target: { endpoint }, continuityMark: null });
  settle = (_: number, vote: Decision) => Promise.resolve((this.#decision ??= vote));
  resolve = () => Promise.resolve();
  continuity = () => Promise.resolve(true);
  runHook = () => Promise.reject(new Error('no hooks here'));
  tell = () => undefined;
  tune: (tuning: Tuning) => void = () => undefined;
  onTuned = (changed: (tuning: Tuning) => void) => {
    this.tune = changed;
  };
  onCancel = (asked: (reason: string) => void) => {
    this.#ask = asked;
    return () => undefined;
  };
  cancel = (reason: string) => this.#ask(reason);
  save = (saga: Saga) => {
    this.log.push(`save ${saga.stage}`);
    return Promise.resolve();
  };
  dispatch = (order: LegOrder, signal: AbortSignal): Promise<LegResult> => {
    this.orders.push(order);
    this.log.push(`dispatch ${order.task}`);
    const answer = this.answers.get(order.calls[0]!.step);
    return answer === undefined ? Promise.resolve(this.good(order)) : answer(order, signal);
  };
  good = ({ calls }: LegOrder): LegResult => ({ v: 1, results: calls.map((call) => this.#result(call)) });
  #result({ step }: StepCall): StepResult {
    if (step === 'release')
      return this.#ok(step, {
        decision: (this.#decision ??= 'COMMIT'),
        releasedAt: 5,
        decideMs: 0,
        openMs: 0,
      });
    if (step === 'discard') return this.#ok(step, { decision: (this.#decision ??= 'ABORT') });
    return this.#ok(step, outputs[step]!);
  }
  #ok = (step: StepCall['step'], output: Record<string, unknown>): StepResult => ({
    ok: true,
    step,
    output: steps[step].output.parse(output),
    ms: 1,
  });
}

const never = (signal: AbortSignal) =>
  new Promise<never>((_, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
  );

describe('a coordinator', () => {
  it('stores every state before it acts on it', async () => {
    const ports = new TestPorts();
    const saga = await runMigration(initial(request, 0), ports, new AbortController().signal);
    expect(saga.end).toBe('done');
    const first = ports.log.indexOf('dispatch validate.1.1');
    expect(ports.log.slice(0, first)).toContain('save validate');
    expect(ports.log.at(-1)).toBe('save end');
  });

  it('stores what came of two legs that are under way at once when both have ended', async () => {
    const ports = new TestPorts();
    await runMigration(initial(request, 0), ports, new AbortController().signal);
    const saves = ports.log.filter((line) => line.startsWith('save'));
    expect(saves.filter((line) => line === 'save switch')).toHaveLength(1);
    expect(saves.filter((line) => line === 'save clean')).toHaveLength(1);
  });

  it('that takes over between the ends of two legs asks for both, and misses nothing', async () => {
    const first = new TestPorts();
    let stored = initial(request, 0);
    first.save = (saga) => ((stored = JSON.parse(JSON.stringify(saga)) as Saga), Promise.resolve());
    const dying = new AbortController();
    first.answers.set('restore-and-hold', (_, signal) => {
      setImmediate(() => dying.abort(new Error('killed')));
      return never(signal);
    });
    await expect(runMigration(stored, first, dying.signal)).rejects.toThrow('killed');
    const second = new TestPorts();
    const saga = await runMigration(stored, second, new AbortController().signal);
    expect(second.orders.map(({ task }) => task)).toContain('freeze-and-dump.1.1');
    expect(saga).toMatchObject({ end: 'done', outcome: { dump: { pauseMs: 1 }, files: { bytes: 0 } } });
  });

  it('gives what was changed meanwhile to every step that follows, and leaves the request as it was', async () => {
    const ports = new TestPorts();
    ports.answers.set('validate', (order) => {
      ports.tune({ bandwidth: 5_000_000 });
      return Promise.resolve(ports.good(order));
    });
    ports.answers.set('freeze-and-dump', (order) => {
      expect(order.calls[0]?.input).toMatchObject({ route: { bandwidth: 5_000_000 } });
      return Promise.resolve(ports.good(order));
    });
    const saga = await runMigration(initial(request, 0), ports, new AbortController().signal);
    const calls = ports.orders.flatMap((order) => order.calls);
    expect(calls.find(({ step }) => step === 'final-sync')?.input).toMatchObject({
      route: { bandwidth: 5_000_000 },
    });
    expect(saga.request.options.bandwidth).toBeUndefined();
    expect(saga.end).toBe('done');
  });

  it('stops the armed target at once when the dump fails', async () => {
    const ports = new TestPorts();
    let stopped = false;
    ports.answers.set('restore-and-hold', (_, signal) => {
      signal.addEventListener('abort', () => (stopped = true));
      return never(signal);
    });
    ports.answers.set('freeze-and-dump', () =>
      Promise.resolve({
        v: 1,
        results: [
          { ok: false, step: 'freeze-and-dump', failure: { code: 'DUMP_REFUSED', details: {} }, ms: 1 },
        ],
      }),
    );
    const saga = await runMigration(initial(request, 0), ports, new AbortController().signal);
    expect(saga.end).toBe('rolled-back');
    expect(stopped).toBe(true);
  });

  it('turns a cancel during the blackout into a rollback', async () => {
    const ports = new TestPorts();
    ports.answers.set('restore-and-hold', (_, signal) => never(signal));
    ports.answers.set('freeze-and-dump', (_, signal) => {
      queueMicrotask(() => ports.cancel('asked'));
      return never(signal);
    });
    const saga = await runMigration(initial(request, 0), ports, new AbortController().signal);
    expect(saga.end).toBe('cancelled');
    expect(ports.orders.map(({ task }) => task)).toContain('resume.1.1');
  });

  it('that takes over asks for the very same tasks', async () => {
    const first = new TestPorts();
    let stored = initial(request, 0);
    const saved = first.save;
    first.save = (saga) => ((stored = JSON.parse(JSON.stringify(saga)) as Saga), saved(saga));
    const dying = new AbortController();
    first.answers.set('prepare', (_, signal) => {
      queueMicrotask(() => dying.abort(new Error('killed')));
      return never(signal);
    });
    await expect(runMigration(stored, first, dying.signal)).rejects.toThrow('killed');
    const second = new TestPorts();
    expect((await runMigration(stored, second, new AbortController().signal)).end).toBe('done');
    expect(second.orders[0]?.task).toBe(first.orders.at(-1)?.task);
  });

  it('takes a host that never answers for a failure of that host', async () => {
    const ports = new TestPorts();
    ports.answers.set('inspect', () => Promise.reject(new CmtError('HOST_UNREACHABLE', { host: 'alpha' })));
    const saga = await runMigration(initial(request, 0), ports, new AbortController().signal);
    expect(saga).toMatchObject({ end: 'refused', failure: { code: 'HOST_UNREACHABLE' } });
  });
});
