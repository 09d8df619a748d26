/**
 * The gate: CRIU's `post-restore` action script holds a restored container, complete but not running, until somebody says
 * `open` or `abort` (criu(8), --action-script; a script that fails makes CRIU kill what it restored).
 *
 * INVARIANTS
 * - Only the word `open` lets the container run. The script holds the FIFO open for writing itself, so the death of any
 *   other writer is no end of file and opens nothing; whatever goes wrong in the script is an abort.
 * - `held` is written after the FIFO is open for reading: who sees it can speak at once.
 * - An abort before the container is held is kept in a file and read by the script after it has opened the FIFO:
 *   either the script sees the file, or the aborter sees the reader.
 * - Gate and restore need no living worker: any process that can write the directory can speak.
 * - Its few files lie in memory and are looked at synchronously: the way through the thread pool would be felt in the blackout.
 */
import { closeSync, constants, lstatSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { seen } from '../seen.ts';
import { quoted } from '../shell.ts';
import { makeGateFiles } from './gate-files.ts';

/** `opened` and `aborted` are what the script was last told, written by itself before it ended. */
export type GateState = 'absent' | 'armed' | 'held' | 'opened' | 'aborted';

const SCRIPT = 'gate.sh';
const FIFO = 'word';
const HELD = 'held';
const ABORT = 'abort';
const VERDICTS = { open: 'opened', abort: 'aborted' } as const;
type Word = keyof typeof VERDICTS;

/** How long a script that has been told may take to write its verdict. */
const ANSWER_LIMIT_MS = 2_000;
const LOOK_EVERY_MS = 1;

/** Nobody reads: the script has not come that far, or it is gone with its CRIU. */
export class GateUnattended extends Error {
  constructor(readonly directory: string) {
    super(`nobody waits at the gate ${directory}`);
    this.name = 'GateUnattended';
  }
}

export interface GateOptions {
  /**
   * For a container whose network namespace runc makes: CRIU restores it with its loopback down, and a connection within the
   * container then cannot be restored at all. Default false; costs two processes.
   */
  readonly loopback?: boolean;
}

/** Makes the gate afresh in a directory, which is made if need be, and returns the script for CRIU's configuration. */
export async function prepareGate(
  directory: string,
  options: GateOptions = {},
): Promise<{ actionScript: string }> {
  await makeGateFiles(directory, {
    ...{ script: SCRIPT, text: gateScript(directory, options), fifo: FIFO },
    notes: [HELD, ABORT, ...Object.values(VERDICTS)],
  });
  return { actionScript: join(directory, SCRIPT) };
}

const LOOPBACK = `if [ "$CRTOOLS_SCRIPT_ACTION" = setup-namespaces ]; then
  exec nsenter --target "$CRTOOLS_INIT_PID" --net ip link set lo up
fi
`;

/** The script: POSIX sh, at the gate built-in commands only, for every process started here is part of the blackout. */
export function gateScript(directory: string, { loopback = false }: GateOptions = {}): string {
  return `#!/bin/sh
# Holds a restored container until it is told to open. CRIU calls it for every action; only one is held.
${loopback ? LOOPBACK : ''}[ "$CRTOOLS_SCRIPT_ACTION" = post-restore ] || exit 0
umask 077
cd ${quoted([directory])} || exit 1
exec 3<> ${FIFO} || exit 1
echo "$CRTOOLS_INIT_PID" > ${HELD} || exit 1
word=
if [ -e ${ABORT} ]; then word=abort; fi
while [ "$word" != open ] && [ "$word" != abort ]; do
  IFS= read -r word <&3 || exit 1
done
if [ "$word" = open ]; then
  : > ${VERDICTS.open}
  exit 0
fi
: > ${VERDICTS.abort}
exit 1
`;
}

/** A container behind its gate: process id of its init on this host, and milliseconds since 1970 at which it was held. */
export interface Held {
  readonly initPid: number;
  readonly heldAt: number;
}

/** Resolves when the container is held. The caller watches the restore itself: one that fails never comes here. */
export const waitHeld = (directory: string, signal: AbortSignal): Promise<Held> =>
  seen(directory, () => readHeld(directory), signal);

/** Null until the script has written the whole line. */
function readHeld(directory: string): Held | null {
  const path = join(directory, HELD);
  const text = contentOf(path);
  const initPid = /^(\d+)\n$/.exec(text ?? '')?.[1];
  if (initPid === undefined) return null;
  return { initPid: Number(initPid), heldAt: statSync(path).mtimeMs };
}

/** Lets the container run. Again after it was opened is fine. @throws {GateUnattended} when nobody is held, or it was aborted */
export async function openGate(directory: string): Promise<void> {
  if ((await say(directory, 'open')) !== 'opened') throw new GateUnattended(directory);
}

/**
 * Has the container killed by its CRIU, now or as soon as it comes to be held. Returns false when the gate was
 * opened before. The restore's own end is the proof that nothing is left.
 */
export async function abortGate(directory: string): Promise<boolean> {
  const before = stateNow(directory);
  if (before === 'absent') return true;
  await writeFile(join(directory, ABORT), '', { mode: 0o600 });
  try {
    return (await say(directory, 'abort')) === 'aborted';
  } catch (error) {
    if (error instanceof GateUnattended) return true;
    throw error;
  }
}

/** How the gate stands by its files. `held` may also be the last word of a script that was killed: ask the restore. */
export const gateState = (directory: string): Promise<GateState> =>
  new Promise((resolve) => resolve(stateNow(directory)));

function stateNow(directory: string): GateState {
  for (const verdict of Object.values(VERDICTS)) if (isHere(join(directory, verdict))) return verdict;
  if (readHeld(directory) !== null) return 'held';
  return isHere(join(directory, SCRIPT)) ? 'armed' : 'absent';
}

/** When it was held and when it was opened, in milliseconds since 1970; null while it was not. */
export async function gateTimes(
  directory: string,
): Promise<{ heldAt: number | null; openedAt: number | null }> {
  const [heldAt, openedAt] = await Promise.all(
    [HELD, VERDICTS.open].map((file) => changedAt(join(directory, file))),
  );
  return { heldAt: heldAt ?? null, openedAt: openedAt ?? null };
}

/** Gives the word and waits for the script's verdict, which may be that of an earlier word. */
async function say(directory: string, word: Word): Promise<'opened' | 'aborted'> {
  const limit = performance.now() + ANSWER_LIMIT_MS;
  for (let told = false; ;) {
    const state = stateNow(directory);
    if (state === 'opened' || state === 'aborted') return state;
    told ||= tell(directory, word);
    if (!told || performance.now() > limit) throw new GateUnattended(directory);
    await wait(LOOK_EVERY_MS);
  }
}

/** False when nobody has the FIFO open for reading. Eight bytes at most are written as one (pipe(7), PIPE_BUF). */
function tell(directory: string, word: Word): boolean {
  try {
    const fifo = openSync(join(directory, FIFO), constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      writeSync(fifo, `${word}\n`);
    } finally {
      closeSync(fifo);
    }
    return true;
  } catch (error) {
    if (isCode(error, 'ENXIO') || isCode(error, 'ENOENT') || isCode(error, 'EPIPE')) return false;
    throw error;
  }
}

async function changedAt(path: string): Promise<number | null> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

const isHere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

function contentOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;
