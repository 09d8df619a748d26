/**
 * A dump that leaves the container's private memory where it is and serves it to another host (criu(8), --lazy-pages).
 *
 * INVARIANTS
 * - CRIU thaws the cgroup and holds the processes with ptrace; killed, it lets them run. So the cgroup is frozen again, and the dump
 *   counts only if every process is still traced after that: then none has run since it was seized, and none will (`heldFrozen`).
 * - CRIU speaks on a socket that it was given. It opens no port: runc would have it listen on all addresses.
 * - It outlives this process. How it ends says nothing: whether all pages have arrived only the other host knows.
 */
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { pidsBelow } from '../preflight/container-processes.ts';
import { spareFromOom, startTimeOf } from '../proc.ts';
import { startDetached } from '../process.ts';
import type { ProcessName } from '../machine.ts';
import { freezeOnce } from './cgroup.ts';

/** CRIU's descriptors: of the page stream, and where it writes a byte when it serves. As the configuration file names them. */
export const SERVE_FDS = { pages: 5, status: 6 } as const;

/** Moves them up: runc gives its CRIU others below. */
const WITH_FDS = `exec ${SERVE_FDS.pages}<&0 ${SERVE_FDS.status}>&1 </dev/null >/dev/null; exec "$@"`;

/** A checkpoint under way. */
export interface ServingDump extends ProcessName {
  /** True when CRIU has written all images and serves; false when it has ended before. */
  readonly serves: Promise<boolean>;
}

/** Starts a checkpoint whose CRIU has the socket. */
export async function startServing(
  argv: readonly string[],
  pages: Socket,
  env: Readonly<Record<string, string>>,
): Promise<ServingDump> {
  const child = startDetached('sh', ['-c', WITH_FDS, 'sh', ...argv], [pages, 'pipe', 'ignore'], env);
  const { stdout, pid } = child;
  if (stdout === null || pid === undefined) throw new Error('sh cannot be started');
  void spareFromOom(pid);
  const serves = new Promise<boolean>((resolve) => {
    stdout.once('data', () => resolve(true));
    stdout.once('close', () => resolve(false));
    child.once('error', () => resolve(false));
  });
  child.unref();
  return { pid, startTime: (await startTimeOf(pid)) ?? 'over', serves };
}

/**
 * Freezes a cgroup whose processes are traced. @returns whether they were traced all the time: nothing was run, and nothing will be
 * when the tracer dies.
 */
export async function heldFrozen(cgroup: string, signal: AbortSignal): Promise<boolean> {
  await freezeOnce(cgroup, signal);
  const tracers = await Promise.all((await pidsBelow(cgroup)).map(tracerOf));
  return tracers.length > 0 && tracers.every((tracer) => tracer !== 0);
}

/** 0 for a process that nobody traces, or that is gone (proc_pid_status(5)). */
async function tracerOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^TracerPid:\s*(\d+)$/m.exec(status)?.[1] ?? 0);
}
