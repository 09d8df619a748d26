/** Programs that go on running inside a host after the cmt that started them has ended: workers, servers. */
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { labExec } from './exec.ts';
import { hostOf, type Lab, type ProcessId } from './lab.ts';
import { LabError } from './lab-error.ts';
import { identify, innerPid, isAlive } from './processes.ts';

export interface LabDaemon {
  readonly name: string;
  readonly host: string;
  readonly argv: readonly string[];
  /** As the machine sees it. */
  readonly process: ProcessId;
  /** Standard output and error, appended; a path of the machine. */
  readonly logFile: string;
}

/**
 * The shell ends at once, so the daemon's parent is the host's init and nothing outside waits for it; and it
 * closes what it inherited, so nothing outside waits for the end of a pipe that a daemon holds open.
 */
const detach = `log=$1; shift
for fd in $(ls /proc/self/fd); do if [ "$fd" -gt 2 ]; then eval "exec $fd>&-"; fi; done
setsid "$@" </dev/null >>"$log" 2>&1 & echo $!`;

/**
 * Starts a program inside a host and leaves it running, in a session of its own, with standard input at /dev/null.
 * It ends by itself, by `signalDaemon`, with the host or with the lab.
 * @throws {LabError} when the host is not up, a daemon of that name runs, or the program ends at once.
 */
export async function spawnInHost(
  lab: Lab,
  hostName: string,
  daemon: {
    readonly name: string;
    readonly argv: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
  },
): Promise<LabDaemon> {
  const { name, argv, env = {} } = daemon;
  if (!/^[\w-]{1,64}$/.test(name)) throw new LabError(`'${name}' is no name for a daemon`);
  const same = (await listDaemons(lab, hostName)).find((other) => other.name === name);
  if (same && isAlive(same.process)) throw new LabError(`${name} already runs in ${hostName}`);
  const shell = ['bash', '-c', detach, 'bash', `/var/log/cmt/${name}.log`, ...argv];
  const started = await labExec(lab, hostName, shell, { timeoutMs: 60_000, env });
  const logFile = join(hostOf(lab, hostName).dir, 'log', `${name}.log`);
  const id = await findInHost(lab, hostName, Number(started.stdout));
  if (!id) throw new LabError(`${name} did not start in ${hostName}: see ${logFile} ${started.stderr}`);
  const record = { name, host: hostName, argv, process: id, logFile };
  await mkdir(daemonsDir(lab, hostName), { recursive: true, mode: 0o700 });
  await writeFile(join(daemonsDir(lab, hostName), `${name}.json`), JSON.stringify(record));
  return record;
}

/** Sends a signal to a daemon. @returns false when it has ended (its pid may be another's by now). */
export function signalDaemon(daemon: LabDaemon, signal: NodeJS.Signals): boolean {
  return isAlive(daemon.process) && process.kill(daemon.process.pid, signal);
}

/** The daemons ever started in a host since its disk was made; `isAlive(daemon.process)` tells which still run. */
export async function listDaemons(lab: Lab, hostName: string): Promise<LabDaemon[]> {
  const dir = daemonsDir(lab, hostName);
  const files = await readdir(dir).catch(() => []);
  return Promise.all(
    files.map(async (file) => JSON.parse(await readFile(join(dir, file), 'utf8')) as LabDaemon),
  );
}

const daemonsDir = (lab: Lab, hostName: string): string => join(hostOf(lab, hostName).dir, 'daemons');

/** The process that calls itself `pid` inside the host: pids there are the host's own. */
async function findInHost(lab: Lab, hostName: string, pid: number): Promise<ProcessId | undefined> {
  const text = await readFile(join(lab.cgroup, hostName, 'system/cgroup.procs'), 'utf8');
  const outer = text
    .trim()
    .split('\n')
    .map(Number)
    .find((candidate) => innerPid(candidate) === pid);
  return outer === undefined ? undefined : identify(outer);
}
