/**
 * `criu lazy-pages`: fills the memory of a restored container while it runs, from images on this host or from the page server of the
 * host that it comes from (criu(8), "lazy-pages").
 *
 * INVARIANTS
 * - The daemon is never without its guard (lazy-guard.ts): a container whose pages are lost is dead before it can read zeros.
 * - Daemon and guard outlive the worker and are found again by what the guard has written, start times included.
 * - Both end by themselves when every page is in; `end` ends them early, and only a copy that is gone already is ended so.
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { isThere, removeTree } from '../mounts.ts';
import { isAlive, parseStat } from '../proc.ts';
import { start, startDetached, tryRun } from '../process.ts';
import { seen } from '../seen.ts';
import type { PageStream } from '../transports/page-stream.ts';
import { setTimeout as wait } from 'node:timers/promises';
import { GUARD } from './lazy-guard.ts';

/**
 * `serving`: pages may be missing, and are on their way; `unguarded`: the same, but the guard was killed. `lost`: the daemon failed,
 * and the container was killed for it. `abandoned`: both are gone without a word, and nobody knows.
 */
export type LazyPagesState = 'absent' | 'armed' | 'serving' | 'unguarded' | 'drained' | 'lost' | 'abandoned';

export interface LazyPagesPlan {
  /** What guard and worker tell each other; made afresh. */
  readonly directory: string;
  /** The gate of the copy (gate.ts), which is told to say no when pages are lost. */
  readonly gate: string;
  readonly images: string;
  /** Where the restore looks for the daemon's socket: its own work directory. */
  readonly work: string;
  /** Where the pages are that the images lack: the CRIU of the source. Null when images have them all. */
  readonly pages: PageStream | null;
}

/** A daemon that is ready to be started. */
export interface ArmedLazyPages {
  /** Starts it, the images being complete, and resolves when it listens. @throws {Error} when it does not */
  serve(): Promise<void>;
}

/** CRIU's log beside those of the restore. */
export const LAZY_LOG = 'lazy-pages.log';
const SCRIPT = 'guard.pl';
const NOTES = {
  guard: 'guard',
  daemon: 'daemon',
  cgroup: 'cgroup',
  drained: 'drained',
  lost: 'lost',
} as const;

/** Milliseconds that guard and daemon get to be there, and to be gone. */
const START_LIMIT_MS = 10_000;
const END_LIMIT_MS = 5_000;
const LOOK_EVERY_MS = 5;

/** Whether the guard can run here at all: its interpreter and architecture, and cgroups that kill as one. */
export async function canGuard(signal: AbortSignal): Promise<boolean> {
  const checked = await tryRun('perl', ['-e', GUARD], { timeoutMs: START_LIMIT_MS, signal }).catch(
    () => null,
  );
  return checked?.code === 0;
}

/** Everything but the daemon's own start: that needs the images. */
export async function armLazyPages(plan: LazyPagesPlan): Promise<ArmedLazyPages> {
  await removeTree(plan.directory);
  await mkdir(plan.directory, { recursive: true, mode: 0o700 });
  const script = join(plan.directory, SCRIPT);
  await writeFile(script, GUARD, { mode: 0o600 });
  return await guarded(plan, script, lazyPagesArgv(plan));
}

const lazyPagesArgv = ({ images, work, pages }: LazyPagesPlan): string[] => [
  ...['criu', 'lazy-pages', '--no-default-config', '--images-dir', images, '--work-dir', work],
  ...(pages === null ? [] : ['--page-server', '--ps-socket', '4']),
  ...['-v2', '--log-file', LAZY_LOG, '--status-fd', '3'],
];

/** Guards any program that speaks on descriptor 3 when it is ready. */
export async function guarded(
  { directory, gate, pages = null }: Pick<LazyPagesPlan, 'directory' | 'gate'> & Partial<LazyPagesPlan>,
  script: string,
  argv: readonly string[],
): Promise<ArmedLazyPages> {
  const child = startDetached(
    'perl',
    [script, directory, gate, ...argv],
    ['pipe', 'pipe', pages?.socket ?? 'ignore'],
  );
  pages?.keep();
  const ended = new AbortController();
  for (const end of ['error', 'exit']) child.once(end, () => ended.abort());
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('the guard of lazy pages cannot be started');
  stdin.on('error', () => undefined);
  const answer = firstLine(stdout);
  await noted(directory, () => isThere(join(directory, NOTES.daemon)), ended.signal);
  return {
    serve: async () => {
      stdin.end('go\n');
      if ((await answer) !== 'ready') throw new Error('criu lazy-pages does not come to listen');
      child.unref();
    },
  };
}

async function firstLine(output: Readable): Promise<string | null> {
  for await (const line of createInterface({ input: output })) return line;
  return null;
}

/** Resolves when what guard and daemon have written down makes it so, or whoever was to write has ended or takes too long. */
async function noted(directory: string, isSo: () => Promise<boolean>, ended: AbortSignal): Promise<void> {
  const enough = AbortSignal.any([ended, AbortSignal.timeout(START_LIMIT_MS)]);
  await seen(directory, async () => (await isSo()) || null, enough).catch((error: unknown) => {
    if (!enough.aborted) throw error;
  });
}

/**
 * Names the cgroup to be killed when pages are lost, once the copy is held. From here on it may be let go.
 * @throws {Error} when they are lost already, or nobody guards them
 */
export async function guardCopy(directory: string, cgroup: string): Promise<void> {
  await writeFile(join(directory, NOTES.cgroup), cgroup, { mode: 0o600 });
  const state = await lazyPagesState(directory);
  if (state !== 'serving' && state !== 'drained') throw new Error(`lazy pages are ${state}`);
}

/** How the pages of a copy stand, looked at without the thread pool. `absent` is a copy that was not restored lazily. */
export async function lazyPagesState(directory: string): Promise<LazyPagesState> {
  const verdict = verdictOf(directory);
  if (verdict !== null) return verdict;
  const [guard, daemon] = [idIn(directory, NOTES.guard), idIn(directory, NOTES.daemon)];
  if (guard === null) return existsSync(join(directory, SCRIPT)) ? 'armed' : 'absent';
  if (await isAlive(guard)) return 'serving';
  // It may have ended well between the two looks.
  return verdictOf(directory) ?? (daemon !== null && (await isAlive(daemon)) ? 'unguarded' : 'abandoned');
}

const verdictOf = (directory: string): 'drained' | 'lost' | null =>
  ([NOTES.drained, NOTES.lost] as const).find((verdict) => existsSync(join(directory, verdict))) ?? null;

/** Puts a new guard in the place of one that was killed; resolves when it is there, or the daemon has ended. */
export async function guardAgain({
  directory,
  gate,
}: Pick<LazyPagesPlan, 'directory' | 'gate'>): Promise<void> {
  const daemon = idIn(directory, NOTES.daemon);
  if (daemon === null || !(await isAlive(daemon))) return;
  const argv = [join(directory, SCRIPT), directory, gate, '--attach', String(daemon.pid)];
  const child = start('perl', argv, { detached: true, stdio: 'ignore' });
  child.unref();
  const ended = new AbortController();
  void child.then(() => ended.abort());
  await noted(directory, async () => (await lazyPagesState(directory)) !== 'unguarded', ended.signal);
}

/** Writes down that pages are lost, after the container was killed. */
export const noteLost = (directory: string, why: string): Promise<void> =>
  writeFile(join(directory, NOTES.lost), why, { mode: 0o600 });

/** How the daemon ended, for people. */
export const whyLost = (directory: string): Promise<string> =>
  readFile(join(directory, NOTES.lost), 'utf8').catch(() => 'unknown');

/** Ends daemon and guard; the copy is gone. Nothing there is fine. */
export async function endLazyPages(directory: string): Promise<void> {
  const limit = performance.now() + END_LIMIT_MS;
  for (const note of [NOTES.guard, NOTES.daemon]) {
    const who = idIn(directory, note);
    while (who !== null && (await isAlive(who))) {
      kill(who.pid);
      if (performance.now() > limit) throw new Error(`process ${who.pid} does not die`);
      await wait(LOOK_EVERY_MS);
    }
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

function idIn(directory: string, note: string): { pid: number; startTime: string } | null {
  const stat = textIn(join(directory, note));
  const pid = Number.parseInt(stat, 10);
  const startTime = parseStat(stat);
  return Number.isNaN(pid) || startTime === null ? null : { pid, startTime };
}

/** Empty when it is not there. */
function textIn(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
