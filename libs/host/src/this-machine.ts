/** The machine that this process runs on. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { mkdir, symlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { dirtyBytes } from './criu/dirty-pages.ts';
import { abortGate, gateState, gateTimes, openGate, prepareGate, waitHeld } from './criu/gate.ts';
import {
  armLazyPages,
  endLazyPages,
  guardAgain,
  guardCopy,
  lazyPagesState,
  noteLost,
  whyLost,
} from './criu/lazy-pages.ts';
import { explainRestore } from './criu/log.ts';
import { lastLogTime } from './criu/log-time.ts';
import { standsInRestorer } from './criu/restorer.ts';
import { removeRootsYard } from './criu/roots-yard.ts';
import { readDumpStats } from './criu/stats.ts';
import type { Clock, Machine } from './machine.ts';
import { isThere, removeTree } from './mounts.ts';
import { forgetBundle, rememberBundle } from './preflight/bundles.ts';
import { containerPids } from './preflight/container-processes.ts';
import { room } from './preflight/disk.ts';
import { touchMappedFiles } from './preflight/mapped-files.ts';
import { beganAt, isAlive, startTimeOf } from './proc.ts';
import { endOperation } from './runtimes/operations.ts';

export const thisClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  wait: (ms, signal) => delay(ms, undefined, { signal }).catch(() => signal?.throwIfAborted()),
  limit: (ms) => AbortSignal.timeout(ms),
};

export const thisMachine: Machine = {
  clock: thisClock,
  files: {
    ...{ makeDirectory, removeTree, isThere, room, readText, writeText, touchMappedFiles },
    makeLinkedDirectory,
  },
  processes: {
    ...{ isAlive, endOperation, dirtyBytes },
    named: async (pid) => {
      const startTime = await startTimeOf(pid);
      return startTime === null ? null : { pid, startTime };
    },
    beganAt: ({ startTime }) => beganAt(startTime),
  },
  gates: {
    prepare: prepareGate,
    waitHeld,
    open: openGate,
    abort: abortGate,
    state: gateState,
    times: gateTimes,
  },
  lazyPages: {
    ...{ guardCopy, guardAgain, noteLost, whyLost },
    arm: armLazyPages,
    state: lazyPagesState,
    end: endLazyPages,
  },
  criu: {
    ...{ dumpStats: readDumpStats, lastLogTime, explainRestore, removeRootsYard },
    standsInRestorer: async (log, state) => await standsInRestorer(log, await containerPids(state)),
  },
  bundles: { remember: rememberBundle, forget: forgetBundle },
};

async function makeDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}

async function makeLinkedDirectory(path: string, to: string): Promise<void> {
  await makeDirectory(to);
  await makeDirectory(dirname(path));
  await symlink(to, path);
}

/** At once, as `writeText`: what steps note is small and lies in memory, and the way through the thread pool would be felt in the blackout. */
function readText(path: string): Promise<string | null> {
  return new Promise((resolve) => resolve(textIn(path)));
}

function textIn(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

function writeText(path: string, text: string): Promise<void> {
  return new Promise((resolve) => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(`${path}.tmp`, text, { mode: 0o600 });
    renameSync(`${path}.tmp`, path);
    resolve();
  });
}
