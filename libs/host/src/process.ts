/**
 * The one place that starts programs (the only importer of execa).
 *
 * INVARIANTS
 * - Arguments are an argv array; no shell ever sees a string that came from outside.
 * - Every program has a time limit and obeys the caller's AbortSignal.
 * - umask is 077 for the whole process (set by the mains), so what a child writes is private.
 */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import type { Socket } from 'node:net';
import { execa, type Options, type ResultPromise } from 'execa';

export interface RunOptions {
  /** Milliseconds until the program is killed. No default: whoever starts a program knows how long it may take. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Its children end with it: they are in a process group of its own, and all of that is killed. Default false. */
  readonly withChildren?: boolean;
  readonly cwd?: string;
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Text or bytes for standard input; without it standard input is /dev/null. */
  readonly input?: string | Uint8Array;
  /** File descriptors for stdio, as in node:child_process; overrides `input`. Bulk bytes go through here, not the heap. */
  readonly stdio?: Options['stdio'];
  /** Which outputs are gathered for the result (all, unless told); one that is piped elsewhere must not be. */
  readonly buffer?: Options['buffer'];
}

/** Milliseconds from being told to end to being killed, and to being listened to no more. */
const FORCE_MS = 1_000;
const DEAF_MS = 1_500;

/** How a finished program ended. `code` is null when a signal or the time limit ended it. */
export interface Finished {
  readonly command: string;
  readonly code: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  readonly aborted: boolean;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** A program that could not be used: not there, ended with an error, or over its time. */
export class ProcessError extends Error {
  constructor(readonly finished: Finished) {
    super(describe(finished));
    this.name = 'ProcessError';
  }

  /** The program is not there, or is none: nothing of it ran. */
  get neverStarted(): boolean {
    return neverStarted(this.finished);
  }
}

/** Runs a program to its end and returns how it ended, whatever the exit code. Throws only if it cannot be started. */
export async function tryRun(file: string, args: readonly string[], options: RunOptions): Promise<Finished> {
  const started = performance.now();
  const result = await (options.withChildren ? launchGroup : launch)(file, args, options);
  const finished: Finished = {
    command: [file, ...args].join(' '),
    code: result.exitCode ?? null,
    signal: result.signal ?? null,
    timedOut: result.timedOut,
    aborted: result.isCanceled,
    stdout: asText(result.stdout),
    stderr: asText(result.stderr),
    ms: performance.now() - started,
  };
  if (neverStarted(finished))
    throw new ProcessError({
      ...finished,
      stderr: (result as { originalMessage?: string }).originalMessage ?? '',
    });
  return finished;
}

const neverStarted = ({ code, signal, timedOut, aborted }: Finished): boolean =>
  code === null && signal === null && !timedOut && !aborted;

/** Runs a program to its end. @throws {ProcessError} unless it exits 0. */
export async function run(file: string, args: readonly string[], options: RunOptions): Promise<Finished> {
  const finished = await tryRun(file, args, options);
  if (finished.code !== 0) throw new ProcessError(finished);
  return finished;
}

/** Starts a program and leaves it to the caller: for daemons and for children that are fed while they run. */
export function start(
  file: string,
  args: readonly string[],
  options: Omit<RunOptions, 'timeoutMs'> & { readonly detached?: boolean },
): ResultPromise {
  return execa(file, args, {
    ...base(options),
    detached: options.detached ?? false,
    cleanup: !options.detached,
  });
}

export interface OnSocketOptions {
  /** Added to the environment of this process. */
  readonly env: Readonly<Record<string, string>>;
  /** Whether it gets a fourth pipe, as descriptor 4, and a session of its own: it may outlive this process. Default false. */
  readonly detached?: boolean;
}

/**
 * Starts a program that takes a connection over: it gets the socket as descriptor 0, pipes as 1, 2 and 3. It is the caller's to end.
 * execa would copy the socket's bytes instead.
 */
export function startOn(
  socket: Socket,
  file: string,
  args: readonly string[],
  { env, detached = false }: OnSocketOptions,
): ChildProcess {
  const stdio: StdioOptions = [socket, 'pipe', 'pipe', 'pipe', ...(detached ? (['pipe'] as const) : [])];
  return spawn(file, args, { env: { ...process.env, ...env }, stdio, detached });
}

/**
 * Starts a program in a session of its own that outlives this process. A socket among these streams becomes its own: blocking, as
 * descriptors 0 to 2 are in every child (libuv), and without a copy of its bytes. It is the caller's to close here.
 */
export function startDetached(
  file: string,
  args: readonly string[],
  stdio: readonly ['pipe' | Socket, 'pipe', 'ignore' | Socket],
  env: Readonly<Record<string, string>> = {},
): ChildProcess {
  return spawn(file, args, { env: { ...process.env, ...env }, stdio: [...stdio], detached: true });
}

function launch(file: string, args: readonly string[], options: RunOptions) {
  return execa(file, args, {
    ...base(options),
    timeout: options.timeoutMs,
    forceKillAfterDelay: FORCE_MS,
    maxBuffer: 8 * 1024 * 1024,
  });
}

/**
 * A child of the program holds its output open, and would be waited for: so all of its group is told to end, then killed,
 * and then nobody listens any more.
 */
async function launchGroup(file: string, args: readonly string[], { signal, ...options }: RunOptions) {
  const limit = AbortSignal.timeout(options.timeoutMs);
  const stop = signal === undefined ? limit : AbortSignal.any([signal, limit]);
  const child = execa(file, args, {
    ...base(options),
    ...{ detached: true, cleanup: false, maxBuffer: 8 * 1024 * 1024 },
  });
  const later: NodeJS.Timeout[] = [];
  const end = (): void => {
    killGroup(child.pid, 'SIGTERM');
    later.push(setTimeout(() => killGroup(child.pid, 'SIGKILL'), FORCE_MS));
    later.push(setTimeout(() => [child.stdout, child.stderr].forEach((one) => one.destroy()), DEAF_MS));
  };
  if (stop.aborted) end();
  else stop.addEventListener('abort', end, { once: true });
  try {
    const result = await child;
    const isCanceled = signal?.aborted === true;
    return Object.assign(result, { isCanceled, timedOut: !isCanceled && limit.aborted });
  } finally {
    stop.removeEventListener('abort', end);
    later.forEach(clearTimeout);
  }
}

function killGroup(leader: number | undefined, signal: NodeJS.Signals): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

function base(options: Omit<RunOptions, 'timeoutMs'>) {
  return {
    reject: false,
    stripFinalNewline: true,
    ...(options.stdio === undefined
      ? { stdin: options.input === undefined ? ('ignore' as const) : ('pipe' as const) }
      : { stdio: options.stdio }),
    ...(options.input === undefined ? {} : { input: options.input }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    ...(options.buffer === undefined ? {} : { buffer: options.buffer }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
  } satisfies Options;
}

function asText(output: unknown): string {
  return typeof output === 'string' ? output : '';
}

function describe({ command, code, signal, timedOut, stderr, ms }: Finished): string {
  const how = timedOut
    ? `took longer than ${Math.round(ms)} ms`
    : signal
      ? `was killed by ${signal}`
      : `exited ${code ?? 'without starting'}`;
  const tail = stderr.trim().split('\n').slice(-3).join(' | ');
  return `${command} ${how}${tail ? `: ${tail}` : ''}`;
}
