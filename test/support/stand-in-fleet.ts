/**
 * A fleet without machines: a Redis, the real coordinator in a process of its own, and hosts whose steps only say what real ones would.
 * Containers move between the hosts' announcements, and every migration that is past its first step is counted.
 */
import { keys } from '@cmt/contracts';
import type { ContainerSummary, HostFacts, HostRecord, Leg, LegResult, StepCall } from '@cmt/contracts';
import {
  announceOnce,
  consumeLegs,
  coordinatorAlive,
  loadKeyPair,
  readSaga,
  trustIn,
  type RedisConnection,
} from '@cmt/queue';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import { cmt, jsonLines, startCmt } from './cmt.ts';
import { until } from './queue-faults.ts';
import { hostRecordOf, QUICK, startQueueWorld, type QueueWorld } from './queue-world.ts';

const GIB = 1024 ** 3;

/** What differs from the other stand-ins. */
export interface StandInSpec {
  readonly containers?: Readonly<Record<string, number>>;
  readonly facts?: Partial<HostFacts>;
  readonly labels?: Readonly<Record<string, string>>;
  /** What the host says to `validate`, beside that all is well. */
  readonly survey?: Readonly<Record<string, unknown>>;
  /** Asked at the start of `sync-files`, which goes on when it is kept. */
  readonly gate?: (container: string) => Promise<void>;
  /** The same of `confirm`, which waits for the last page. */
  readonly lastPage?: (container: string) => Promise<void>;
}

export interface StandInHost {
  readonly name: string;
  /** Ids of the containers on it now. */
  containers(): string[];
  /** Falls silent. */
  stop(): Promise<void>;
}

export interface StandInFleet {
  readonly world: QueueWorld;
  readonly redis: RedisConnection;
  readonly hosts: ReadonlyMap<string, StandInHost>;
  /** Most migrations at a time that left, or went to, a host. */
  readonly most: { readonly out: Map<string, number>; readonly in: Map<string, number> };
  /** Migrations in the order in which they were begun. */
  readonly begun: string[];
  /** What each migration was given of its links, as a worker was told last. */
  readonly shares: ReadonlyMap<string, number | null>;
  cmt(...args: string[]): ReturnType<typeof cmt>;
  json(...args: string[]): Promise<Record<string, unknown> & { readonly code: number | null }>;
  stateOf(id: string): Promise<string | undefined>;
  /** The newest one. */
  coordinator(): { kill(): Promise<void> };
  /** Resolves when it takes migrations. */
  startCoordinator(): Promise<void>;
}

const figures = { freezingMs: 1, frozenMs: 1, pagesWritten: 1, pagesSkipped: 0, bytesSent: 1, sendMs: 1 };
const network = { kind: 'none' };

const subjectOf = ({ input }: Pick<StepCall, 'input'>): string =>
  (input['container'] ?? (input['subject'] as { container?: string } | undefined)?.container) as string;

class Host implements StandInHost {
  readonly record: HostRecord;
  readonly present: Map<string, number>;
  #timer: NodeJS.Timeout | undefined;
  #close: () => Promise<void> = () => Promise.resolve();

  constructor(
    readonly name: string,
    readonly spec: StandInSpec,
    readonly fleet: Traffic,
  ) {
    const base = hostRecordOf(name);
    this.present = new Map(Object.entries(spec.containers ?? {}));
    const size = { memoryTotal: 16 * GIB, memoryAvailable: 8 * GIB, imagesFree: 8 * GIB };
    this.record = { ...base, facts: { ...base.facts, ...size, ...spec.facts }, labels: { ...spec.labels } };
  }

  containers = (): string[] => [...this.present.keys()].sort();

  async start(world: QueueWorld, trust: Awaited<ReturnType<typeof trustIn>>): Promise<void> {
    const redis = world.connection();
    const announce = async () => announceOnce(redis, { ...this.record, containers: this.#summaries() });
    await announce();
    this.#timer = setInterval(() => void announce().catch(() => undefined), 300);
    const worker = consumeLegs(
      {
        ...{ redis: world.connection(), host: this.name, concurrency: 64, trust, logger: world.logger },
        ...{ ledgerDir: join(world.redis.dir, 'legs', this.name), timing: QUICK },
      },
      (leg) => this.#run(leg),
    );
    worker.onTuned((migration, { share }) => {
      if (share !== undefined) this.fleet.shares.set(migration, share);
    });
    this.#close = () => worker.close(0);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#close();
  }

  #summaries = (): ContainerSummary[] =>
    [...this.present].map(([id, memory]) => ({
      ...{ id, memory, runtime: 'runc', status: 'running', bundle: `/srv/${id}`, pid: 7 },
    }));

  async #run(leg: Leg): Promise<LegResult> {
    const results: LegResult['results'] = [];
    for (const call of leg.calls) {
      this.fleet.saw(this.name, leg, call);
      if (call.step === 'sync-files') await this.spec.gate?.(subjectOf(call));
      if (call.step === 'confirm') await this.spec.lastPage?.(subjectOf(call));
      results.push({ ok: true, step: call.step, output: this.#answer(leg, call), ms: 1 });
    }
    return { v: 1, results };
  }

  #answer(leg: Leg, { step, input }: StepCall): Record<string, unknown> {
    const id = subjectOf({ input });
    switch (step) {
      case 'inspect':
        return { inspection: this.#inspection(id), facts: this.record.facts, findings: [] };
      case 'validate':
        return { survey: this.#survey() };
      case 'prepare':
        return { endpoint: this.record.endpoint, bundleExisted: false };
      case 'sync-files':
      case 'final-sync':
        return { bytes: 0, ms: 0 };
      case 'freeze-and-dump':
        return { frozenAt: Date.now(), clockOffsetMs: 0, pauseMs: 1, dumpMs: 1, figures };
      case 'restore-and-hold':
        return { waitMs: 0, restoreMs: 1, criuMs: 1 };
      case 'release':
        this.present.set(id, this.fleet.sizes.get(id) ?? 0);
        return { decision: 'COMMIT', releasedAt: Date.now(), decideMs: 0, openMs: 0 };
      case 'confirm':
        return { pid: 1, ranMs: 1 };
      case 'retire':
        this.present.delete(id);
        return {};
      case 'clean':
        this.fleet.ended(leg);
        return {};
      case 'discard':
        return { decision: 'ABORT' };
      case 'resume':
        return { wasFrozen: false, frozenMs: 0 };
      default:
        return {};
    }
  }

  #inspection = (container: string) => ({
    ...{
      container,
      runtime: 'runc',
      bundle: `/srv/${container}`,
      rootfs: `/srv/${container}/rootfs`,
      pids: 1,
    },
    ...{
      memory: this.present.get(container) ?? 1,
      files: 1,
      tcpConnections: 0,
      network,
      mounts: [],
      cpuinfo: '',
    },
  });

  #survey = () => ({
    ...{
      facts: this.record.facts,
      cpuProblem: null,
      nameTaken: false,
      addressesTaken: [],
      missingBridges: [],
    },
    ...{ missingMounts: [], bundle: 'absent', bundleFree: 1e9, rsync: true, busyWith: null },
    ...this.spec.survey,
  });
}

/** Counts who is under way: from `prepare` on the target to `clean`. */
class Traffic {
  readonly most = { out: new Map<string, number>(), in: new Map<string, number>() };
  readonly begun: string[] = [];
  readonly shares = new Map<string, number | null>();
  readonly sizes = new Map<string, number>();
  readonly #under = new Map<string, { source: string; target: string }>();

  saw(host: string, leg: Leg, { step, input }: StepCall): void {
    if (step !== 'prepare' || this.#under.has(leg.migration)) return;
    this.begun.push(leg.migration);
    this.#under.set(leg.migration, { source: String(input['source']), target: host });
    const all = [...this.#under.values()];
    for (const [way, end] of [
      ['out', 'source'],
      ['in', 'target'],
    ] as const)
      for (const name of new Set(all.map((one) => one[end])))
        this.most[way].set(
          name,
          Math.max(this.most[way].get(name) ?? 0, all.filter((one) => one[end] === name).length),
        );
  }

  ended({ migration }: Leg): void {
    this.#under.delete(migration);
  }
}

/** Starts everything; the test's end ends it. The program must have been built (`buildCmt`). */
export async function startStandInFleet(
  context: TestContext,
  specs: Readonly<Record<string, StandInSpec>>,
): Promise<StandInFleet> {
  const world = await startQueueWorld();
  const { dir, url } = world.redis;
  const coordinatorDir = join(dir, 'coordinator');
  const coordinatorKeys = await loadKeyPair(coordinatorDir);
  const trusted = join(dir, 'trusted');
  await mkdir(trusted);
  await copyFile(join(dir, 'keys/cmt.pub'), join(trusted, 'client.pub'));
  const traffic = new Traffic();
  const hosts = new Map(Object.entries(specs).map(([name, spec]) => [name, new Host(name, spec, traffic)]));
  for (const { present } of hosts.values()) for (const [id, size] of present) traffic.sizes.set(id, size);
  const trust = trustIn(coordinatorKeys, undefined, world.logger);
  await Promise.all([...hosts.values()].map((host) => host.start(world, trust)));
  context.onTestFinished(async () => {
    await Promise.all([...hosts.values()].map((host) => host.stop()));
    await world.close();
  });
  const redis = world.connection();
  const env = { CMT_REDIS: url, CMT_STATE_DIR: dir };
  const run = (...args: string[]) => cmt(args, { home: dir, env });
  let newest = { kill: () => Promise.resolve() };
  const startCoordinator = async () => {
    await redis.del(keys.coordinator);
    const where = ['--redis', url, '--state-dir', coordinatorDir, '--trusted-keys-dir', trusted];
    const child = startCmt(['coordinator', ...where, '--log-level', 'error'], { home: dir });
    const ended = child.then(
      () => undefined,
      () => undefined,
    );
    const kill = async () => {
      child.kill('SIGKILL');
      await ended;
    };
    context.onTestFinished(kill);
    newest = { kill };
    await until(() => coordinatorAlive(redis));
  };
  const fleet: StandInFleet = {
    ...{ world, redis, hosts, most: traffic.most, begun: traffic.begun, shares: traffic.shares, cmt: run },
    json: async (...args) => {
      const { code, stdout, stderr } = await run(...args, '--json');
      const [answer] = jsonLines(stdout);
      if (answer === undefined) throw new Error(`cmt ${args.join(' ')} said nothing: ${stderr}`);
      return { ...answer, code };
    },
    stateOf: async (id) => (await readSaga(redis, id))?.report.state,
    coordinator: () => newest,
    startCoordinator,
  };
  await startCoordinator();
  return fleet;
}
