/**
 * Programs that go on running after the process that started them has ended: the private Redis, its coordinator.
 *
 * INVARIANTS
 * - `<name>.lock` is held by the daemon itself, for exactly as long as it lives: there is never a second one, and no lock goes stale.
 * - `<name>.pid` is written by the holder of the lock before it becomes the daemon, with its start time: a pid that was
 *   handed out again is never signalled.
 */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isAlive, parseStat } from './proc.ts';
import { start } from './process.ts';

export interface DaemonPlace {
  /** Holds lock, pid and log; made 0700. */
  readonly dir: string;
  readonly name: string;
}

export interface DaemonSpec extends DaemonPlace {
  readonly argv: readonly string[];
  /** Put before `argv`, e.g. to enter a network namespace. Must exec and must not change the pid namespace. */
  readonly argvPrefix?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A process known by more than its pid: `startTime` is field 22 of /proc/PID/stat, clock ticks since boot (proc(5)). */
export interface DaemonId {
  readonly pid: number;
  readonly startTime: string;
}

/** A start under way. `ended` has the exit code once it is known that this start did not stay, and never settles otherwise. */
export interface DaemonStart {
  readonly logFile: string;
  readonly ended: Promise<number | null>;
}

/** Exit code of a start that found the daemon running. */
export const ALREADY_RUNS = 75;
/** Exit code of a start whose program is not installed (sh(1)). */
export const NOT_INSTALLED = 127;

/** Milliseconds a start may take to write down who it is. */
const FOUND_MS = 5_000;

/** The shell writes down who it is and then becomes the daemon, so pid and start time stay. */
const writeDownAndBecome = 'cat /proc/$$/stat >"$0.new" && mv "$0.new" "$0" && exec "$@"';

/**
 * Starts a daemon in a session of its own, output appended to `<name>.log`. One that runs already is left alone.
 * When this resolves, the daemon can be found and stopped, or the start has ended.
 */
export async function startDaemon(spec: DaemonSpec): Promise<DaemonStart> {
  await mkdir(spec.dir, { recursive: true, mode: 0o700 });
  const logFile = logOf(spec);
  const logged = ['-c', 'exec >>"$0" 2>&1 "$@"', logFile, ...(spec.argvPrefix ?? []), ...lockedArgv(spec)];
  const child = start('sh', logged, {
    detached: true,
    stdio: 'ignore',
    ...(spec.env ? { env: spec.env } : {}),
  });
  child.unref();
  const ended = child.then(({ exitCode }) => exitCode ?? null);
  await Promise.race([ended, untilFound(spec)]);
  return { logFile, ended };
}

/** Resolves as soon as the daemon can be found, and at the latest after some seconds. */
async function untilFound(place: DaemonPlace): Promise<void> {
  const deadline = performance.now() + FOUND_MS;
  while (performance.now() < deadline && !(await findDaemon(place))) await pause(5);
}

/** @returns the running daemon, or undefined. */
export async function findDaemon(place: DaemonPlace): Promise<DaemonId | undefined> {
  const written = idIn(await readFile(pidFileOf(place), 'utf8').catch(() => ''));
  return written && (await isAlive(written)) ? written : undefined;
}

/**
 * Asks a daemon to end and waits until it has; kills it after `timeoutMs`.
 * @returns false when none was running.
 */
export async function stopDaemon(place: DaemonPlace, timeoutMs: number): Promise<boolean> {
  const daemon = await findDaemon(place);
  if (!daemon) return false;
  process.kill(daemon.pid, 'SIGTERM');
  if (!(await endsWithin(daemon, timeoutMs))) {
    process.kill(daemon.pid, 'SIGKILL');
    await endsWithin(daemon, timeoutMs);
  }
  await rm(pidFileOf(place), { force: true });
  return true;
}

export const logOf = ({ dir, name }: DaemonPlace): string => join(dir, `${name}.log`);
const pidFileOf = ({ dir, name }: DaemonPlace): string => join(dir, `${name}.pid`);

function lockedArgv(spec: DaemonSpec): string[] {
  const lock = join(spec.dir, `${spec.name}.lock`);
  return [
    ...['flock', '--no-fork', '--nonblock', '--conflict-exit-code', `${ALREADY_RUNS}`, lock],
    ...['sh', '-c', writeDownAndBecome, pidFileOf(spec), ...spec.argv],
  ];
}

async function endsWithin(daemon: DaemonId, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (await isAlive(daemon)) {
    if (performance.now() > deadline) return false;
    // A process that is not our child tells nobody of its end.
    await pause(10);
  }
  return true;
}

function idIn(stat: string): DaemonId | undefined {
  const pid = Number.parseInt(stat, 10);
  const startTime = parseStat(stat);
  return Number.isNaN(pid) || startTime === null ? undefined : { pid, startTime };
}
