/** ip(8) of iproute2: many commands in one process, and its JSON read with care. */
import type { z } from 'zod';
import { run, tryRun, ProcessError, type Finished, type RunOptions } from '../process.ts';

/** Milliseconds for one call: hundreds of times what it takes. */
const IP_TIMEOUT_MS = 10_000;
/** The same for one that is started ahead: it may wait for a slow freeze, or for a decision. */
const AHEAD_TIMEOUT_MS = 60_000;

/** Where a command of ip runs: this host's own network namespace, or the one at a path (nsenter(1)). */
export type Netns = string | null;

/**
 * Runs commands of ip(8) in one process, in order. It ends at the first that fails.
 * @throws {ProcessError} naming it
 */
export async function ipBatch(netns: Netns, commands: readonly string[], signal: AbortSignal): Promise<void> {
  if (commands.length > 0) await run(...batch(netns, []), { ...limits(signal), input: script(commands) });
}

/**
 * Runs commands of ip(8) in one process and goes on over those that fail because the thing they name is not there.
 * @throws {ProcessError} for any other failure
 */
export async function ipBatchIfThere(
  netns: Netns,
  commands: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  if (commands.length === 0) return;
  const finished = await tryRun(...batch(netns, ['-force']), { ...limits(signal), input: script(commands) });
  if (!onlyMissing(finished)) throw new ProcessError(finished);
}

/**
 * Like `ipBatch`, but the process is started now and gets its commands when `ready` has come true:
 * starting it takes longer than what it does. Nothing is done when `ready` rejects.
 */
export async function ipBatchWhen(
  ready: Promise<unknown>,
  netns: Netns,
  commands: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  await run(...batch(netns, []), ahead(signal, ready, commands));
}

/** `ipBatchWhen` and `ipBatchIfThere` in one. */
export async function ipBatchIfThereWhen(
  ready: Promise<unknown>,
  netns: Netns,
  commands: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const finished = await tryRun(...batch(netns, ['-force']), ahead(signal, ready, commands));
  if (!onlyMissing(finished)) throw new ProcessError(finished);
}

const ahead = (signal: AbortSignal, ready: Promise<unknown>, commands: readonly string[]): RunOptions => ({
  ...{ signal, timeoutMs: AHEAD_TIMEOUT_MS, stdio: [fedWhen(ready, commands), 'pipe', 'pipe'] },
});

async function* fedWhen(ready: Promise<unknown>, commands: readonly string[]): AsyncGenerator<string> {
  const go = await ready.then(
    () => true,
    () => false,
  );
  if (go) yield script(commands);
}

/** The JSON that `ip -j …` prints, checked. An empty answer is an empty list. */
export async function ipJson<T extends z.ZodType>(
  netns: Netns,
  args: readonly string[],
  schema: T,
  signal: AbortSignal,
): Promise<z.infer<T>> {
  const { stdout } = await run(...entering(netns, ['ip', '-j', ...args]), limits(signal));
  return schema.parse(JSON.parse(stdout.trim() === '' ? '[]' : stdout));
}

/** Program and arguments, in a network namespace. */
export function entering(netns: Netns, argv: readonly [string, ...string[]]): [string, string[]] {
  const [file, ...args] = argv;
  return netns === null ? [file, args] : ['nsenter', [`--net=${netns}`, '--', ...argv]];
}

const batch = (netns: Netns, flags: readonly string[]): [string, string[]] =>
  entering(netns, ['ip', ...flags, '-batch', '-']);
const limits = (signal: AbortSignal): RunOptions => ({ timeoutMs: IP_TIMEOUT_MS, signal });
const script = (commands: readonly string[]): string => `${commands.join('\n')}\n`;

/** Whether a forced batch met no other trouble than links and addresses that are not there. */
function onlyMissing({ code, stderr }: Finished): boolean {
  if (code === 0) return true;
  if (code === null) return false;
  return stderr
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('Command failed'))
    .every((line) => /^Cannot find device|^Device .* does not exist|: No such (device|file)/.test(line));
}
