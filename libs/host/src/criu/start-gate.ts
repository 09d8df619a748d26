/**
 * The start gate: CRIU's `pre-dump` action script holds a CRIU that is to dump where it has read its options and not yet looked at a
 * process (criu/cr-dump.c, `cr_dump_tasks`), so that starting it and its runtime costs nothing of a blackout.
 *
 * INVARIANTS
 * - Only the word `go` of the process that made the gate lets it begin. The end of that process is an end of file, and whatever goes
 *   wrong in the script makes CRIU fail with nothing done.
 */
import { constants, watch } from 'node:fs';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isThere } from '../mounts.ts';
import { run } from '../process.ts';
import { shellQuoted } from './gate.ts';

const SCRIPT = 'start.sh';
const FIFO = 'word';
const WAITS = 'waits';

const MKFIFO_LIMIT_MS = 5_000;

export interface StartGate {
  /** Resolves when CRIU waits at it. The caller watches CRIU itself: one that fails never comes here. */
  waits(signal: AbortSignal): Promise<void>;
  /** Lets it begin. */
  go(): Promise<void>;
  /** Without `go` before, CRIU fails. Idempotent. */
  close(): Promise<void>;
}

/** The script of a gate in that directory, for CRIU's configuration. */
export const startScriptIn = (directory: string): string => join(directory, SCRIPT);

/** Makes the gate afresh in a directory, which is made if need be. */
export async function makeStartGate(directory: string): Promise<StartGate> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await Promise.all([FIFO, WAITS].map((file) => rm(join(directory, file), { force: true })));
  const fifo = join(directory, FIFO);
  await run('mkfifo', ['-m', '600', fifo], { timeoutMs: MKFIFO_LIMIT_MS });
  await writeFile(startScriptIn(directory), startScript(directory), { mode: 0o700 });
  // For reading, too: so it opens at once (fifo(7)), and the script finds a writer whenever it comes.
  const word = await open(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  let closing: Promise<void> | null = null;
  return {
    waits: (signal) => appears(directory, WAITS, signal),
    go: async () => {
      await word.write('go\n');
    },
    close: () => (closing ??= word.close()),
  };
}

/** POSIX sh, built-in commands only. */
const startScript = (directory: string): string => `#!/bin/sh
# Holds a CRIU that is to dump until it is told to begin. CRIU calls it for every action; only one is held.
[ "$CRTOOLS_SCRIPT_ACTION" = pre-dump ] || exit 0
cd ${shellQuoted(directory)} || exit 1
word=
: > ${WAITS} || exit 1
IFS= read -r word < ${FIFO}
[ "$word" = go ]
`;

async function appears(directory: string, name: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  let done = (): void => undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const look = (): void => void isThere(join(directory, name)).then((is) => is && resolve(), reject);
      const stop = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
      const watcher = watch(directory, { persistent: false }, look).on('error', reject);
      signal.addEventListener('abort', stop, { once: true });
      done = () => {
        watcher.close();
        signal.removeEventListener('abort', stop);
      };
      look();
    });
  } finally {
    done();
  }
}
