/** What this host's criu says about itself and about the machine (criu(8): check, cpuinfo). */
import { lstat, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTimeOf } from '../proc.ts';
import { ProcessError, run, tryRun, type Finished } from '../process.ts';

/** `criu check` forks, and leaves its child behind when it is ended alone. */
const asOne = (timeoutMs: number, signal: AbortSignal) => ({ timeoutMs, signal, withChildren: true });

const VERSION_LIMIT_MS = 5_000;
const CHECK_LIMIT_MS = 20_000;
const CPUINFO_IMAGE = 'cpuinfo.img';
/** Names of private directories: with the process that made them. */
const PRIVATE = 'cmt-criu-';
const OWNER = new RegExp(`^${PRIVATE}(\\d+)-`);

/** The version (`4.2.1`), or null when there is no criu. */
export async function criuVersion(signal: AbortSignal): Promise<string | null> {
  try {
    const { stdout } = await run('criu', ['--version'], { timeoutMs: VERSION_LIMIT_MS, signal });
    return /^Version: (\S+)/m.exec(stdout)?.[1] ?? null;
  } catch (error) {
    if (error instanceof ProcessError && error.finished.code === null && !signal.aborted) return null;
    throw error;
  }
}

/** The first problem that `criu check` names, or null when all is well. */
export async function criuProblem(signal: AbortSignal): Promise<string | null> {
  return problemOf(await tryRun('criu', ['check'], asOne(CHECK_LIMIT_MS, signal)), signal);
}

/** This CPU as CRIU describes it: the content of cpuinfo.img. @throws {ProcessError} */
export async function dumpCpuinfo(signal: AbortSignal): Promise<Buffer> {
  return await inPrivateDirectory(async (directory) => {
    await run('criu', ['cpuinfo', 'dump', '--images-dir', directory], asOne(CHECK_LIMIT_MS, signal));
    return await readFile(join(directory, CPUINFO_IMAGE));
  });
}

/** What this CPU lacks of the one that another host's image describes, in CRIU's words, or null. */
export async function checkCpuinfo(image: Uint8Array, signal: AbortSignal): Promise<string | null> {
  return await inPrivateDirectory(async (directory) => {
    await writeFile(join(directory, CPUINFO_IMAGE), image, { mode: 0o600 });
    const args = ['cpuinfo', 'check', '--images-dir', directory];
    return problemOf(await tryRun('criu', args, asOne(CHECK_LIMIT_MS, signal)), signal);
  });
}

function problemOf({ code, stdout, stderr, timedOut }: Finished, signal: AbortSignal): string | null {
  signal.throwIfAborted();
  if (code === 0) return null;
  if (timedOut) return `no answer within ${CHECK_LIMIT_MS} ms`;
  const lines = `${stderr}\n${stdout}`.split('\n').map((line) => line.trim());
  const first = lines.find((line) => /Error \(/.test(line)) ?? lines.find((line) => line !== '');
  return first?.replace(/^.*?Error \([^)]*\): /, '') ?? `criu exited ${code ?? 'on a signal'}`;
}

async function inPrivateDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  await removeAbandoned();
  const directory = await mkdtemp(join(tmpdir(), `${PRIVATE}${process.pid}-`));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What a worker that was killed has left of these. Nothing depends on it, and what another user put there stays. */
async function removeAbandoned(): Promise<void> {
  const names = await readdir(tmpdir()).catch(() => []);
  for (const name of names) {
    const owner = OWNER.exec(name)?.[1];
    if (owner !== undefined && (await startTimeOf(Number(owner))) === null)
      await removeOwn(join(tmpdir(), name)).catch(() => undefined);
  }
}

async function removeOwn(directory: string): Promise<void> {
  const { uid } = await lstat(directory);
  if (uid === process.geteuid?.()) await rm(directory, { recursive: true, force: true });
}
