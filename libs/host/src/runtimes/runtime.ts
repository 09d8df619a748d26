/**
 * What a container runtime can do for a migration. One file per runtime implements it;
 * nothing outside a driver ever asks which runtime it is.
 */
import type { Socket } from 'node:net';
import type { ContainerId, ContainerSummary, RuntimeName, TcpPolicy } from '@cmt/contracts';

/** A running container as its runtime knows it. */
export interface ContainerState {
  readonly id: ContainerId;
  readonly status: 'created' | 'running' | 'paused' | 'stopped';
  /** Process id of its init on this host; 0 when stopped. */
  readonly pid: number;
  readonly bundle: string;
  readonly rootfs: string;
  /** Cgroup directory on this host that holds exactly its processes (cgroup2). */
  readonly cgroup: string | null;
}

/** Where one dump goes and what it builds upon. Directories exist, 0700. */
export interface DumpPlan {
  readonly images: string;
  readonly work: string;
  /** Images directory of the round before, relative to `images` as CRIU wants it (e.g. `../1`). */
  readonly parent: string | null;
  readonly tcp: TcpPolicy;
  /** CRIU configuration file for this dump (see criu/config.ts). */
  readonly criuConfig: string;
}

/** A dump that is started ahead. */
export interface ArmedDumpPlan extends DumpPlan {
  /** Directory of the gate that `criuConfig` names (see criu/start-gate.ts); made when the dump is armed. */
  readonly startGate: string;
}

/** A dump that waits, and has not touched the container. It ends with the process that armed it. */
export interface ArmedDump {
  /**
   * Complete dump of the container, paused since, that stays paused in memory, also when it fails. Stopped by `signal` it ends once the
   * container has been let go in good order, which may take as long as the file being written; its images are gone then.
   * @param onWritten called when all images are written; it may still fail after that
   * @throws CmtError DUMP_FAILED, DUMP_REFUSED
   */
  dump(signal: AbortSignal, onWritten?: () => void): Promise<void>;
  /** Ends one that has not begun; the container knows nothing of it. After `dump` nothing happens. Idempotent, never rejects. */
  disarm(): Promise<void>;
}

export interface RestorePlan {
  readonly bundle: string;
  readonly images: string;
  readonly work: string;
  readonly tcp: TcpPolicy;
  /** Names the gate's action script (see criu/gate.ts). */
  readonly criuConfig: string;
  /** Its memory comes from a daemon that listens in `work` (see criu/lazy-pages.ts). Default false: it is complete at the gate. */
  readonly lazyPages?: boolean;
  /** The images lack pages: without that daemon nothing can be restored of them. Default false. */
  readonly postCopy?: boolean;
}

/** A restore under way. It goes on, held behind its gate, when this process dies. */
export interface RestoreUnderWay {
  readonly pid: number;
  readonly startTime: string;
  /** Resolves when the runtime's own process ends: code 0 and the container runs, else it does not exist. */
  readonly ended: Promise<{ readonly code: number | null }>;
}

/** A restore that waits and has restored nothing. It ends with the process that armed it. */
export interface ArmedRestore {
  /** Lets it restore and returns at once; afresh where what waited for that was killed. */
  begin(): Promise<RestoreUnderWay>;
  /** Ends one that has not begun. After `begin` nothing happens. Idempotent, never rejects. */
  leave(): Promise<void>;
}

export interface Runtime {
  readonly name: RuntimeName;
  /** Version as the tool prints it, or null when it is not on this host. */
  version(signal: AbortSignal): Promise<string | null>;
  list(signal: AbortSignal): Promise<ContainerSummary[]>;
  /** State of one container, or null when there is none of that id. */
  state(container: ContainerId, signal: AbortSignal): Promise<ContainerState | null>;
  /** The cgroup2 directory of a container that exists, held ones included; null on cgroup v1. Starts no process. */
  cgroup(container: ContainerId): Promise<string | null>;
  /** Freezes all its processes; returns when they are frozen. Idempotent. */
  pause(container: ContainerId, signal: AbortSignal): Promise<void>;
  /** Lets a paused container run on exactly where it was. Idempotent. */
  resume(container: ContainerId, signal: AbortSignal): Promise<void>;
  /** One round of memory, container running before and after. @throws CmtError DUMP_FAILED, DUMP_REFUSED */
  preDump(container: ContainerId, plan: DumpPlan, signal: AbortSignal): Promise<void>;
  /** Starts what a dump of a container needs, which runs on meanwhile. Resolves when all of it waits. @throws CmtError DUMP_FAILED, DUMP_REFUSED */
  armDump(container: ContainerId, plan: ArmedDumpPlan, signal: AbortSignal): Promise<ArmedDump>;
  /**
   * Dumps a paused container without its private memory, and serves that on a socket until the other end hangs up. Resolves when all
   * images are written and it serves: from then on the container stays frozen whatever becomes of that process, which outlives this
   * one and ends with its end of the socket.
   * @throws CmtError DUMP_FAILED, DUMP_REFUSED; the container is frozen then as it was
   */
  dumpServing(
    container: ContainerId,
    plan: DumpPlan,
    pages: Socket,
    signal: AbortSignal,
  ): Promise<Pick<RestoreUnderWay, 'pid' | 'startTime'>>;
  /** Readies a restore: images and bundle need not be complete yet. Nothing of it is left when the signal aborts. */
  armRestore(container: ContainerId, plan: RestorePlan, signal: AbortSignal): Promise<ArmedRestore>;
  /**
   * Kills every process of the container, frozen or not, without letting any run, and removes the runtime's state of it. Also one
   * that is being restored, is held, or is what a killed restore has left. Idempotent.
   */
  destroy(container: ContainerId, signal: AbortSignal): Promise<void>;
}

/** The drivers of this host, by name. @throws CmtError RUNTIME_UNSUPPORTED */
export interface Runtimes {
  get(name: RuntimeName): Runtime;
  all(): Runtime[];
}
