/**
 * The machine as steps see it: its clock, files and processes, the gate of a restore, and what CRIU leaves behind. Steps reach all
 * of it through their context and in no other way, so that the very same steps run in a simulated world with a virtual clock.
 */
import type { CmtError, ContainerId, WorkerConfig } from '@cmt/contracts';
import type { GateOptions, GateState, Held } from './criu/gate.ts';
import type { ArmedLazyPages, LazyPagesPlan, LazyPagesState } from './criu/lazy-pages.ts';
import type { Whose } from './criu/log.ts';
import type { DumpStats } from './criu/stats.ts';
import type { ContainerState } from './runtimes/runtime.ts';

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Milliseconds of a clock that is never set. */
  elapsed(): number;
  /** Rejects with the signal's reason when it aborts. */
  wait(ms: number, signal?: AbortSignal): Promise<void>;
  /** Aborts after that many milliseconds. */
  limit(ms: number): AbortSignal;
}

/** What can be written where a path is or would be. */
export interface Room {
  /** Bytes; on tmpfs no more than the memory that is available (statfs(2), MemAvailable of proc_meminfo(5)). */
  readonly free: number;
  /** What is written there is kept in memory. */
  readonly inMemory: boolean;
}

export interface Files {
  /** With all that is missing above it; mode 0700. */
  makeDirectory(path: string): Promise<void>;
  /** Removes a directory and what is in it; nothing there is fine. @throws {MountedError} when something is mounted within. */
  removeTree(path: string): Promise<void>;
  isThere(path: string): Promise<boolean>;
  room(path: string): Promise<Room>;
  /** Makes the directory `to`, and `path` a link to it, each with all that is missing above it; mode 0700. */
  makeLinkedDirectory(path: string, to: string): Promise<void>;
  /** Null when there is no such file. */
  readText(path: string): Promise<string | null>;
  /** The file appears complete, mode 0600; its directory is made if need be. */
  writeText(path: string, text: string): Promise<void>;
  /** Gives files that a frozen container has mapped shared a new time, so that rsync looks at them. */
  touchMappedFiles(state: ContainerState): Promise<void>;
}

/** A process, told apart across reuse of its id (proc_pid_stat(5), fields 1 and 22). */
export interface ProcessName {
  readonly pid: number;
  readonly startTime: string;
}

export interface Processes {
  /** The process that has this id now; null when there is none, or only its zombie. */
  named(pid: number): Promise<ProcessName | null>;
  isAlive(who: ProcessName): Promise<boolean>;
  /** Milliseconds since 1970 at which it began, as exact as the kernel's clock ticks (10 ms). */
  beganAt(who: ProcessName): Promise<number>;
  /** Bytes that a cgroup's processes have written to since the last round of pre-copy; null where that cannot be told. */
  dirtyBytes(cgroup: string): Promise<number | null>;
  /** Kills what an operation of a runtime has started, and resolves when the operation has ended. */
  endOperation(who: ProcessName): Promise<void>;
}

/** Gates by their directory; see criu/gate.ts. */
export interface Gates {
  prepare(directory: string, options: GateOptions): Promise<{ actionScript: string }>;
  waitHeld(directory: string, signal: AbortSignal): Promise<Held>;
  /** @throws {GateUnattended} when nobody is held, or it was aborted */
  open(directory: string): Promise<void>;
  /** @returns false when it was opened before */
  abort(directory: string): Promise<boolean>;
  state(directory: string): Promise<GateState>;
  times(directory: string): Promise<{ heldAt: number | null; openedAt: number | null }>;
}

/** Memory that follows its process, by the directory of its daemon; see criu/lazy-pages.ts. */
export interface LazyPages {
  arm(plan: LazyPagesPlan): Promise<ArmedLazyPages>;
  /** @throws {Error} when pages are lost already, or nobody guards them */
  guardCopy(directory: string, cgroup: string): Promise<void>;
  guardAgain(plan: Pick<LazyPagesPlan, 'directory' | 'gate'>): Promise<void>;
  state(directory: string): Promise<LazyPagesState>;
  noteLost(directory: string, why: string): Promise<void>;
  whyLost(directory: string): Promise<string>;
  end(directory: string): Promise<void>;
}

/** What CRIU wrote about what it did. */
export interface CriuRecords {
  /** @throws {Error} when there are none */
  dumpStats(work: string): Promise<DumpStats>;
  /** Milliseconds from CRIU's start to the last line of its log; null when there is no log. */
  lastLogTime(log: string): Promise<number | null>;
  /** Whether CRIU, killed after the gate was opened, has left the container's processes in its restorer for ever. */
  standsInRestorer(log: string, state: ContainerState): Promise<boolean>;
  /** Removes the directory in which a killed CRIU had set up the mounts, as its log names it. */
  removeRootsYard(log: string): Promise<void>;
  /** Why a restore failed. Never throws. */
  explainRestore(work: string, whose: Whose): Promise<CmtError>;
}

/** Which bundles cmt has put or left here; see preflight/bundles.ts. */
export interface Bundles {
  remember(config: WorkerConfig, bundle: string, container: ContainerId): Promise<void>;
  forget(config: WorkerConfig, bundle: string): Promise<void>;
}

export interface Machine {
  readonly clock: Clock;
  readonly files: Files;
  readonly processes: Processes;
  readonly gates: Gates;
  readonly lazyPages: LazyPages;
  readonly criu: CriuRecords;
  readonly bundles: Bundles;
}
