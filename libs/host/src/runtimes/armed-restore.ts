/**
 * A restore that waits: the runtime is started ahead and does all that needs no image. It reads the bundle, asks CRIU for its version and
 * makes mount points, which is most of what it does at all; then it reads `descriptors.json`, and only then it starts the CRIU that
 * restores (libcontainer/criu_linux.go, `Restore`). Where it waits that file is a FIFO, in a directory that has no image yet.
 *
 * INVARIANTS
 * - Until it is told there is one process of it, a mount namespace, and in the runtime's directory a name without a state. It could not
 *   restore if it wanted to: where it looks there is no image.
 * - The links to the images are relative: restored processes open images where the root directory is the container's already.
 * - Only the process that armed it can tell it: the one writer of the FIFO is there. The end of that process is an end of file, at which
 *   the runtime fails and takes its name back.
 * - One that was killed while it waited has restored nothing. The name that it leaves has no state and is younger than it: that is taken
 *   away, nothing else, and another takes its place, which waits for nothing.
 */
import {
  closeSync,
  constants,
  open,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { makeFifo } from '../criu/gate-files.ts';
import { isThere, removeTree } from '../mounts.ts';
import { isAlive, startTimeOf } from '../proc.ts';
import { start } from '../process.ts';
import { endOperation } from './operations.ts';
import type { ArmedRestore, RestoreUnderWay } from './runtime.ts';

/** What the runtime reads before it starts CRIU. */
const DESCRIPTORS = 'descriptors.json';
/** How long the runtime may take to come so far, and one that is left to end by itself. Milliseconds. */
const ARM_LIMIT_MS = 15_000;
const LEAVE_LIMIT_MS = 2_000;
/** File systems count time in ticks of up to 10 ms. */
const CLOCK_SLACK_MS = 100;

export interface RestoreCommand {
  /** Of the runtime, for a directory in which it finds the images. */
  argv(images: string): readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Where the images will be. */
  readonly images: string;
  /** The runtime's directory of this container, which it makes first of all. */
  readonly name: string;
}

/**
 * Resolves when it waits; also when it cannot: then it is started at the word, and says what is wrong. Nothing of it is left when the signal
 * aborts before.
 */
export async function armRestore(command: RestoreCommand, signal: AbortSignal): Promise<ArmedRestore> {
  const { images, env, name } = command;
  const view = `${images}.armed`;
  const fifo = join(view, DESCRIPTORS);
  await removeTree(view);
  await mkdir(view, { recursive: true, mode: 0o700 });
  await makeFifo(fifo);
  const armedAt = Date.now() - CLOCK_SLACK_MS;
  const armed = await startRestore(command.argv(view), env);
  let word = await writerTo(fifo, armed, AbortSignal.any([signal, AbortSignal.timeout(ARM_LIMIT_MS)]));

  const hangUp = (): void => {
    if (word !== null) closeSync(word);
    word = null;
  };
  const tellIt = async (): Promise<boolean> => {
    if (word === null || !(await isAlive(armed))) return false;
    for (const image of readdirSync(images))
      if (image !== DESCRIPTORS) symlinkSync(join('..', basename(images), image), join(view, image));
    return write(word, readFileSync(join(images, DESCRIPTORS)));
  };
  let isTold = false;
  const leave = async (): Promise<void> => {
    hangUp();
    if (isTold) return;
    await gone(armed);
    await takeNameBack(name, armedAt).catch(() => undefined);
  };
  if (signal.aborted) {
    await leave();
    signal.throwIfAborted();
  }
  return {
    leave,
    begin: async () => {
      isTold = await tellIt();
      hangUp();
      if (isTold) return armed;
      await gone(armed);
      await takeNameBack(name, armedAt);
      isTold = true;
      return await startRestore(command.argv(images), env);
    },
  };
}

/** Started with its own streams: CRIU could dump no container that has ours. */
async function startRestore(
  [file = '', ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<RestoreUnderWay> {
  const child = start(file, args, { detached: true, stdio: 'ignore', env });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${file} cannot be started: ${(await child).message}`);
  const ended = child.then(({ exitCode }) => ({ code: exitCode ?? null }));
  // Without a start time it is over already, and nobody will find it by this one.
  return { pid, startTime: (await startTimeOf(pid)) ?? 'over', ended };
}

/** The FIFO, open for writing, as soon as the runtime reads it (fifo(7)); null when that has ended before, or was ended by the signal. */
async function writerTo(fifo: string, reader: RestoreUnderWay, signal: AbortSignal): Promise<number | null> {
  // Until there is a reader the call waits, in a thread of the pool.
  const opening = promisify(open)(fifo, constants.O_WRONLY);
  const end = (): void => void endOperation(reader).catch(() => undefined);
  signal.addEventListener('abort', end, { once: true });
  // It may have come before anybody listened.
  if (signal.aborted) end();
  const isRead = await Promise.race([opening.then(() => true), reader.ended.then(() => false)]);
  signal.removeEventListener('abort', end);
  if (isRead) return await opening;
  const own = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  closeSync(await opening);
  closeSync(own);
  return null;
}

/** False when nobody reads any more. */
function write(fifo: number, text: Buffer): boolean {
  try {
    writeSync(fifo, text);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EPIPE') return false;
    throw error;
  }
}

/** Resolves when one that nobody told has ended. */
async function gone(armed: RestoreUnderWay): Promise<void> {
  const late = setTimeout(() => void endOperation(armed).catch(() => undefined), LEAVE_LIMIT_MS);
  await armed.ended;
  clearTimeout(late);
}

/** What a killed one has left would keep every other from that name. */
async function takeNameBack(name: string, armedAt: number): Promise<void> {
  const left = await stat(name).catch(() => null);
  const isOurs = left !== null && left.ctimeMs >= armedAt && !(await isThere(join(name, 'state.json')));
  if (isOurs) await removeTree(name);
}
