/**
 * The runc driver. Seen with runc 1.3.6 and criu 4.2.1 on cgroup2.
 *
 * INVARIANTS
 * - runc never inherits this process's standard streams: CRIU could dump no container that it started.
 * - Checkpoint and restore run in a mount namespace of their own: what a killed one leaves mounted goes with it.
 * - A dump that fails leaves the container frozen, as it found it. CRIU thaws it to dump it and, when it fails, may let it
 *   run for a moment: no image of such a dump is complete, so no second copy can come of it.
 * - CRIU is not killed while it dumps: it would take the container with it. A dump is stopped by taking its images away;
 *   only one that is hung (operations.ts) is killed.
 * - A restore outlives this process, and waits at its gate.
 * - `runc delete` is called only when nothing is mounted in its state directory and every process is dead.
 */
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { CmtError, type ContainerId, type ContainerSummary, type HostName } from '@cmt/contracts';
import { explainDump, RUNTIME_LOG } from '../criu/log.ts';
import { makeStartGate } from '../criu/start-gate.ts';
import type { ProcessName } from '../machine.ts';
import { isThere, removeTree } from '../mounts.ts';
import { ProcessError, run, tryRun, type Finished } from '../process.ts';
import { armRestore } from './armed-restore.ts';
import { defaultCgroup, freezeCgroup, isIn, killCgroup, removeCgroup, thawCgroup } from './cgroup.ts';
import { Checkpoint, STOP_LIMIT_MS } from './checkpoint.ts';
import { heldFrozen, startServing } from './serving.ts';
import { unmountWithin } from './leftover-mounts.ts';
import { endGently, endOperation, isOrphan, operationsOn, send, startedByThisProcess } from './operations.ts';
import { parseCgroup, parseList, parsePids, parseState, parseVersion } from './runc-output.ts';
import type {
  ArmedDump,
  ArmedDumpPlan,
  ArmedRestore,
  ContainerState,
  DumpPlan,
  RestorePlan,
  Runtime,
} from './runtime.ts';

export interface RuncOptions {
  /** The name under which failures speak of this host. */
  readonly host: HostName;
  /** runc's state directory (`--root`). Default that of root. */
  readonly root?: string;
}

/** Limits in milliseconds. runc itself gives up freezing, and waiting for a killed process, after 10 s. */
const QUERY_LIMIT_MS = 10_000;
const FREEZE_LIMIT_MS = 15_000;
const DESTROY_LIMIT_MS = 15_000;
/** A terabyte at half a gigabyte a second. The step's own limit is shorter. */
const DUMP_LIMIT_MS = 2_000_000;
/** For runtime and CRIU to start and wait; nothing stands still meanwhile. */
const ARM_LIMIT_MS = 20_000;
/** How long the dump of a worker that died may go on before CRIU is killed after all. The step's own limit is shorter. */
const ORPHAN_LIMIT_MS = 300_000;

/** What runc does to mounts stays in a namespace that ends with it; mounts made meanwhile outside are still seen. */
const OWN_MOUNTS = ['--mount', '--propagation', 'slave', '--'] as const;

export class Runc implements Runtime {
  readonly name = 'runc';
  readonly #host: HostName;
  readonly #root: string;
  /** Containers whose checkpoints of an earlier worker are known to have ended; later ones are this process's own. */
  readonly #withoutOrphans = new Set<ContainerId>();

  constructor({ host, root = '/run/runc' }: RuncOptions) {
    this.#host = host;
    this.#root = root;
  }

  async version(signal: AbortSignal): Promise<string | null> {
    try {
      return parseVersion((await run('runc', ['--version'], { timeoutMs: QUERY_LIMIT_MS, signal })).stdout);
    } catch (error) {
      if (error instanceof ProcessError && error.neverStarted) return null;
      throw error;
    }
  }

  async list(signal: AbortSignal): Promise<ContainerSummary[]> {
    const finished = await this.#try(['list', '-f', 'json'], QUERY_LIMIT_MS, signal);
    // Before the first container there is no state directory, and runc fails for want of it.
    if (finished.code !== 0 && finished.stderr.includes(`${this.#root}: no such file or directory`))
      return [];
    return parseList(successOf(finished).stdout);
  }

  async state(container: ContainerId, signal: AbortSignal): Promise<ContainerState | null> {
    const finished = await this.#try(['state', container], QUERY_LIMIT_MS, signal);
    if (isMissing(finished)) return null;
    const state = parseState(successOf(finished).stdout);
    const cgroup = await this.cgroup(container);
    return { ...state, cgroup: cgroup !== null && (await isIn(cgroup, state.pid)) ? cgroup : null };
  }

  /** Null also for a container that is gone or half made. */
  async cgroup(container: ContainerId): Promise<string | null> {
    const file = await readFile(join(this.#root, container, 'state.json'), 'utf8').catch(() => null);
    return file === null ? null : parseCgroup(file);
  }

  async pause(container: ContainerId, signal: AbortSignal): Promise<void> {
    await this.#endOrphans(container, signal);
    await this.#freeze(container, signal);
  }

  async resume(container: ContainerId, signal: AbortSignal): Promise<void> {
    await this.#endOrphans(container, signal);
    const failed = await this.#thaw(container, signal);
    if (failed === 'thawed') return;
    const state = await this.state(container, signal);
    if (state?.status === 'running') return;
    if (state?.status === 'paused' && failed !== null) throw new ProcessError(failed);
    throw new CmtError('CONTAINER_NOT_RUNNING', {
      container,
      host: this.#host,
      status: state?.status ?? 'gone',
    });
  }

  async preDump(container: ContainerId, plan: DumpPlan, signal: AbortSignal): Promise<void> {
    await this.#endOrphans(container, signal);
    signal.throwIfAborted();
    const checkpoint = await this.#startCheckpoint(container, plan, ['--pre-dump']);
    await this.#checkpointed(container, plan, checkpoint, signal);
  }

  async armDump(container: ContainerId, plan: ArmedDumpPlan, signal: AbortSignal): Promise<ArmedDump> {
    await this.#endOrphans(container, signal);
    const gate = await makeStartGate(plan.startGate);
    const checkpoint = await this.#startCheckpoint(container, plan, ['--leave-running']);
    const waits = await checkpoint.waitsAt(gate, within(ARM_LIMIT_MS, signal)).catch(() => false);
    if (!waits) {
      signal.throwIfAborted();
      throw await explainDump(plan.work, { host: this.#host, container });
    }
    let isTold = false;
    return {
      disarm: () => (isTold ? Promise.resolve() : checkpoint.leave(gate)),
      dump: async (stop, onWritten = () => undefined) => {
        stop.throwIfAborted();
        isTold = true;
        const over = new AbortController();
        gate.written(over.signal).then(onWritten, () => undefined);
        await gate.go();
        await this.#dumped(container, plan, checkpoint, stop).finally(() => over.abort());
      },
    };
  }

  async #dumped(
    container: ContainerId,
    plan: DumpPlan,
    checkpoint: Checkpoint,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await this.#checkpointed(container, plan, checkpoint, signal);
    } catch (error) {
      await this.#freeze(container, AbortSignal.timeout(FREEZE_LIMIT_MS)).catch(() => undefined);
      throw error;
    }
  }

  async dumpServing(
    container: ContainerId,
    plan: DumpPlan,
    pages: Socket,
    signal: AbortSignal,
  ): Promise<ProcessName> {
    const argv = this.#checkpointArgv(container, plan, ['--leave-running', '--lazy-pages']);
    const dump = await startServing(argv, pages, await this.#environment(plan.criuConfig));
    const stop = (): void => void removeTree(plan.images).catch(() => undefined);
    const limit = within(DUMP_LIMIT_MS, signal);
    limit.addEventListener('abort', stop, { once: true });
    try {
      const cgroup = await this.cgroup(container);
      const serves = (await dump.serves) && cgroup !== null && (await heldFrozen(cgroup, limit));
      limit.throwIfAborted();
      if (!serves) throw await explainDump(plan.work, { host: this.#host, container });
      return { pid: dump.pid, startTime: dump.startTime };
    } catch (error) {
      await endGently(dump, STOP_LIMIT_MS).catch(() => undefined);
      await this.#freeze(container, AbortSignal.timeout(FREEZE_LIMIT_MS)).catch(() => undefined);
      throw error;
    } finally {
      limit.removeEventListener('abort', stop);
    }
  }

  async armRestore(container: ContainerId, plan: RestorePlan, signal: AbortSignal): Promise<ArmedRestore> {
    const lazy = plan.lazyPages === true ? ['--lazy-pages'] : [];
    const args = ['--bundle', plan.bundle, '--detach', ...lazy];
    const command = {
      argv: (images: string) => [
        ...['unshare', ...OWN_MOUNTS],
        ...this.#argv('restore', plan.work, [...args, ...criuFlags({ ...plan, images })], container),
      ],
      env: await this.#environment(plan.criuConfig),
      images: plan.images,
      name: join(this.#root, container),
    };
    return await armRestore(command, signal);
  }

  async destroy(container: ContainerId, signal: AbortSignal): Promise<void> {
    const directory = join(this.#root, container);
    // Once a restore has begun its cgroup exists, but runc cannot name it before it is nearly complete.
    const hadBegun = await isThere(directory);
    for (const operation of await operationsOn(this.#root, container)) await endOperation(operation);
    const state = await this.state(container, signal);
    if (state !== null) await this.#killAll(state, signal);
    await unmountWithin(directory, signal);
    const finished = await this.#try(['delete', '--force', container], DESTROY_LIMIT_MS, signal);
    if (!isMissing(finished)) successOf(finished);
    await removeTree(directory);
    if (hadBegun && state === null) await removeLeftCgroup(container, signal);
  }

  /** Frozen already is fine. By the cgroup alone where there is one: that is all that runc does, and it knows no vfork. */
  async #freeze(container: ContainerId, signal: AbortSignal): Promise<void> {
    const cgroup = await this.cgroup(container);
    if (cgroup === null) return await this.#freezeByRunc(container, signal);
    try {
      await freezeCgroup(cgroup, within(FREEZE_LIMIT_MS, signal));
    } catch (error) {
      signal.throwIfAborted();
      const reason = error instanceof Error ? error.message : String(error);
      throw new CmtError('FREEZE_FAILED', { container, host: this.#host, reason });
    }
  }

  /**
   * By the cgroup where there is one: runc waits in vain for one that is half frozen, as a process in uninterruptible sleep
   * leaves it. @returns what says that it went well, what went wrong, or null when the state has to be looked at
   */
  async #thaw(container: ContainerId, signal: AbortSignal): Promise<'thawed' | Finished | null> {
    const cgroup = await this.cgroup(container);
    if (cgroup !== null) {
      await thawCgroup(cgroup, within(FREEZE_LIMIT_MS, signal));
      return null;
    }
    const finished = await this.#try(['resume', container], FREEZE_LIMIT_MS, signal);
    return finished.code === 0 ? 'thawed' : finished;
  }

  async #freezeByRunc(container: ContainerId, signal: AbortSignal): Promise<void> {
    const finished = await this.#try(['pause', container], FREEZE_LIMIT_MS, signal);
    if (finished.code === 0) return;
    const state = await this.state(container, signal);
    if (state?.status === 'paused') return;
    const reason = finished.timedOut ? `not within ${FREEZE_LIMIT_MS} ms` : lastLine(finished.stderr);
    throw new CmtError('FREEZE_FAILED', { container, host: this.#host, reason });
  }

  async #startCheckpoint(
    container: ContainerId,
    plan: DumpPlan,
    mode: readonly string[],
  ): Promise<Checkpoint> {
    const env = await this.#environment(plan.criuConfig);
    return new Checkpoint(this.#checkpointArgv(container, plan, mode), env, plan.images);
  }

  async #checkpointed(
    container: ContainerId,
    plan: DumpPlan,
    checkpoint: Checkpoint,
    signal: AbortSignal,
  ): Promise<void> {
    const code = await checkpoint.endedOrStopped(within(DUMP_LIMIT_MS, signal));
    if (code === 0) return;
    signal.throwIfAborted();
    throw await explainDump(plan.work, { host: this.#host, container });
  }

  #checkpointArgv(container: ContainerId, plan: DumpPlan, mode: readonly string[]): string[] {
    const parent = plan.parent === null ? [] : ['--parent-path', plan.parent];
    // Connections that nobody has accepted yet are refused by default, and may be lost only where all of them are.
    const inFlight = plan.tcp === 'close' ? ['--tcp-skip-in-flight'] : [];
    const args = [...mode, ...parent, ...inFlight, ...criuFlags(plan)];
    return ['unshare', ...OWN_MOUNTS, ...this.#argv('checkpoint', plan.work, args, container)];
  }

  /** A checkpoint that goes on behind this process's back would freeze again what is resumed here. */
  async #endOrphans(container: ContainerId, signal: AbortSignal): Promise<void> {
    if (this.#withoutOrphans.has(container)) return;
    for (const operation of await operationsOn(this.#root, container)) {
      if (operation.kind === 'restore' || !(await isOrphan(operation))) continue;
      await endGently(operation, ORPHAN_LIMIT_MS, signal);
    }
    this.#withoutOrphans.add(container);
  }

  /** Frozen processes die without running an instruction. On cgroup v1 that takes all of them to be killed before the thaw. */
  async #killAll(state: ContainerState, signal: AbortSignal): Promise<void> {
    if (state.cgroup !== null) return await killCgroup(state.cgroup, within(DESTROY_LIMIT_MS, signal));
    const finished = await this.#try(['ps', '-f', 'json', state.id], QUERY_LIMIT_MS, signal);
    if (finished.code !== 0) return;
    for (const pid of parsePids(finished.stdout)) send(pid, 'SIGKILL');
  }

  #argv(command: string, work: string, args: readonly string[], container: ContainerId): string[] {
    const log = ['--log', join(work, RUNTIME_LOG), '--log-format', 'json'];
    return ['runc', '--root', this.#root, ...log, command, ...args, container];
  }

  async #environment(criuConfig: string): Promise<Record<string, string>> {
    return { CRIU_CONFIG_FILE: criuConfig, ...(await startedByThisProcess()) };
  }

  async #try(args: readonly string[], timeoutMs: number, signal: AbortSignal): Promise<Finished> {
    const finished = await tryRun('runc', ['--root', this.#root, ...args], { timeoutMs, signal });
    signal.throwIfAborted();
    return finished;
  }
}

/** CRIU's flags that dump and restore share. A lock that was dumped is lost silently by a restore without `--file-locks`. */
const criuFlags = ({ images, work, tcp }: DumpPlan | RestorePlan): string[] => [
  ...['--image-path', images, '--work-path', work, '--file-locks'],
  ...(tcp === 'established' ? ['--tcp-established'] : []),
];

/** The cgroup of a restore that died half-way, processes in it included. */
async function removeLeftCgroup(container: ContainerId, signal: AbortSignal): Promise<void> {
  const cgroup = await defaultCgroup(container);
  if (cgroup === null) return;
  await killCgroup(cgroup, within(DESTROY_LIMIT_MS, signal));
  await removeCgroup(cgroup);
}

const within = (ms: number, signal: AbortSignal): AbortSignal =>
  AbortSignal.any([signal, AbortSignal.timeout(ms)]);

/** runc's words for a container that it does not know (libcontainer, ErrNotExist). */
const isMissing = ({ code, stderr }: Finished): boolean =>
  code !== 0 && stderr.includes('container does not exist');

function successOf(finished: Finished): Finished {
  if (finished.code !== 0) throw new ProcessError(finished);
  return finished;
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';
