/**
 * A restore that waits: a mount namespace and a shell in it are started ahead and become the runtime when they are told to, so that
 * starting them is no part of a blackout.
 *
 * INVARIANTS
 * - Until it is told it has touched nothing: no name, no cgroup, no file, no image. All that there is of it is one process.
 * - Only the word `go` of the process that started it lets it begin. The end of that process is an end of file, and ends it.
 * - One that was killed while it waited has done nothing, so another may take its place.
 */
import type { ProcessName } from '../machine.ts';
import { isAlive, startTimeOf } from '../proc.ts';
import { start } from '../process.ts';
import type { ArmedRestore, RestoreUnderWay } from './runtime.ts';

/** How long one that is left may take to end by itself. Milliseconds. */
const LEAVE_LIMIT_MS = 2_000;

/** Becomes a program when it is told to, and ends when it cannot be told any more. */
const WHEN_TOLD = 'read -r word && [ "$word" = go ] && exec "$@" < /dev/null';

/**
 * @param within argv that runs what follows it in place, such as `unshare … --`: that, too, is done ahead
 * @param program argv of the restore
 */
export async function armRestore(
  within: readonly string[],
  program: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<ArmedRestore> {
  const argv = [...within, 'sh', '-c', WHEN_TOLD, 'sh', ...program];
  const armed = await startWaiting(argv, env);
  let isTold = false;
  return {
    begin: async () => {
      isTold = true;
      return ((await isAlive(armed)) ? armed : await startWaiting(argv, env)).tell();
    },
    leave: async () => {
      if (!isTold) await armed.leave();
    },
  };
}

interface Waiting extends ProcessName {
  tell(): RestoreUnderWay;
  leave(): Promise<void>;
}

async function startWaiting(
  [file = '', ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Waiting> {
  const child = start(file, args, { detached: true, stdio: ['pipe', 'ignore', 'ignore'], env });
  const { pid, stdin } = child;
  if (pid === undefined || stdin === null)
    throw new Error(`${file} cannot be started: ${(await child).message}`);
  // Who is gone takes no word; what became of it, its end tells.
  stdin.on('error', () => undefined);
  const ended = child.then(({ exitCode }) => ({ code: exitCode ?? null }));
  // Without a start time it is over already, and nobody will find it by this one.
  const startTime = (await startTimeOf(pid)) ?? 'over';
  return {
    pid,
    startTime,
    tell: () => {
      stdin.end('go\n');
      return { pid, startTime, ended };
    },
    leave: async () => {
      stdin.end();
      const late = setTimeout(() => child.kill('SIGKILL'), LEAVE_LIMIT_MS);
      await ended;
      clearTimeout(late);
    },
  };
}
