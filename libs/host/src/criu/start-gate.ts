/**
 * The start gate: CRIU's `pre-dump` action script holds a CRIU that is to dump where it has read its options and not yet looked at a
 * process (criu/cr-dump.c, `cr_dump_tasks`), so that starting it and its runtime costs nothing of a blackout. At `post-dump` it tells
 * that all images are written.
 *
 * INVARIANTS
 * - Only the word `go` of the process that made the gate lets it begin. The end of that process is an end of file, and whatever goes
 *   wrong in the script makes CRIU fail with nothing done.
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { isThere } from '../mounts.ts';
import { seen } from '../seen.ts';
import { quoted } from '../shell.ts';
import { makeGateFiles } from './gate-files.ts';

const SCRIPT = 'start.sh';
const FIFO = 'word';
const WAITS = 'waits';
const WRITTEN = 'written';

export interface StartGate {
  /** Resolves when CRIU waits at it. The caller watches CRIU itself: one that fails never comes here. */
  waits(signal: AbortSignal): Promise<void>;
  /** Lets it begin. */
  go(): Promise<void>;
  /** Resolves when all images are written. CRIU has not yet let go of the processes, and may still fail to. */
  written(signal: AbortSignal): Promise<void>;
  /** Without `go` before, CRIU fails. Idempotent. */
  close(): Promise<void>;
}

/** The script of a gate in that directory, for CRIU's configuration. */
export const startScriptIn = (directory: string): string => join(directory, SCRIPT);

/** Makes the gate afresh in a directory, which is made if need be. */
export async function makeStartGate(directory: string): Promise<StartGate> {
  const text = startScript(directory);
  await makeGateFiles(directory, { script: SCRIPT, text, fifo: FIFO, notes: [WAITS, WRITTEN] });
  // For reading, too: so it opens at once (fifo(7)), and the script finds a writer whenever it comes.
  const word = await open(join(directory, FIFO), constants.O_RDWR | constants.O_NONBLOCK);
  let closing: Promise<void> | null = null;
  return {
    waits: (signal) => appears(directory, WAITS, signal),
    go: async () => {
      await word.write('go\n');
    },
    written: (signal) => appears(directory, WRITTEN, signal),
    close: () => (closing ??= word.close()),
  };
}

async function appears(directory: string, file: string, signal: AbortSignal): Promise<void> {
  await seen(directory, async () => (await isThere(join(directory, file))) || null, signal);
}

/** POSIX sh, built-in commands only. */
const startScript = (directory: string): string => `#!/bin/sh
# Holds a CRIU that is to dump until it is told to begin. CRIU calls it for every action; only one is held.
case $CRTOOLS_SCRIPT_ACTION in
  pre-dump) cd ${quoted([directory])} || exit 1 ;;
  post-dump) cd ${quoted([directory])} && : > ${WRITTEN}; exit 0 ;;
  *) exit 0 ;;
esac
word=
: > ${WAITS} || exit 1
IFS= read -r word < ${FIFO}
[ "$word" = go ]
`;
