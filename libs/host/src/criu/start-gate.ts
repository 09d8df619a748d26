/**
 * The start gate: CRIU's `pre-dump` action script holds a CRIU that is to dump where it has read its options and not yet looked at a
 * process (criu/cr-dump.c, `cr_dump_tasks`), so that starting it and its runtime costs nothing of a blackout.
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
  const text = startScript(directory);
  await makeGateFiles(directory, { script: SCRIPT, text, fifo: FIFO, notes: [WAITS] });
  // For reading, too: so it opens at once (fifo(7)), and the script finds a writer whenever it comes.
  const word = await open(join(directory, FIFO), constants.O_RDWR | constants.O_NONBLOCK);
  let closing: Promise<void> | null = null;
  return {
    waits: async (signal) => {
      await seen(directory, async () => (await isThere(join(directory, WAITS))) || null, signal);
    },
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
cd ${quoted([directory])} || exit 1
word=
: > ${WAITS} || exit 1
IFS= read -r word < ${FIFO}
[ "$word" = go ]
`;
