/** Running programs inside a host, or in the fabric beside the hosts. */
import { join } from 'node:path';
import { tryRun, type Finished, type RunOptions } from '@cmt/host';
import { inCgroup } from './cgroups.ts';
import { hostOf, type Lab } from './lab.ts';
import { LabError } from './lab-error.ts';
import { isAlive } from './processes.ts';

const HOST_ENV = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
};

/**
 * The argv that runs a program inside a host, in all its namespaces, from the machine. The program starts in `/`
 * with a clean environment (PATH, HOME, LANG and `env`) and is killed when the process started with this argv dies.
 * @throws {LabError} when the host is not up.
 */
export function labExecArgv(
  lab: Lab,
  hostName: string,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): string[] {
  const { init, name } = hostOf(lab, hostName);
  if (!init || !isAlive(init)) throw new LabError(`${name} of lab ${lab.name} is not up`);
  const enter = ['nsenter', '-t', `${init.pid}`, '-m', '-u', '-i', '-n', '-p', '-C', '-r', '--'];
  const variables = Object.entries({ ...HOST_ENV, ...env }).map(([key, value]) => `${key}=${value}`);
  const program = ['setpriv', '--pdeathsig', 'KILL', '--', 'env', '-i', ...variables, ...argv];
  // In the host's cgroup: what runs in a lab dies with it, and runc finds itself inside the host's tree.
  return inCgroup(join(lab.cgroup, name, 'system'), [...enter, ...program]);
}

/** Runs a program inside a host to its end; whatever its exit code, this returns. @throws {LabError} host not up */
export async function labExec(
  lab: Lab,
  hostName: string,
  argv: readonly string[],
  options: RunOptions = { timeoutMs: 60_000 },
): Promise<Finished> {
  const { env, ...rest } = options;
  const [file = '', ...args] = labExecArgv(lab, hostName, argv, env);
  return tryRun(file, args, rest);
}

/** As `labExec`, for what must succeed. @returns what it printed @throws {LabError} with what it said when it failed */
export async function labRun(
  lab: Lab,
  hostName: string,
  argv: readonly string[],
  options?: RunOptions,
): Promise<string> {
  const { code, stdout, stderr } = await labExec(lab, hostName, argv, options);
  if (code === 0) return stdout;
  throw new LabError(`${argv.join(' ').slice(0, 200)} on ${hostName}: ${stderr.trim().slice(-500)}`);
}

/** As `labRun`, for a script of the shell, which ends at the first command that fails. */
export const labScript = (
  lab: Lab,
  hostName: string,
  script: string,
  options?: RunOptions,
): Promise<string> => labRun(lab, hostName, ['sh', '-euc', script], options);

/** The argv that runs a program of the machine in the fabric: a client, or a Redis that all hosts reach. */
export function fabricExecArgv(lab: Lab, argv: readonly string[]): string[] {
  const netns = `--net=/run/netns/${lab.fabric.netns}`;
  return inCgroup(join(lab.cgroup, 'fabric'), ['nsenter', netns, '--', ...argv]);
}

/** Runs a program of the machine in the fabric to its end, whatever its exit code. */
export async function fabricExec(
  lab: Lab,
  argv: readonly string[],
  options: RunOptions = { timeoutMs: 60_000 },
): Promise<Finished> {
  const [file = '', ...args] = fabricExecArgv(lab, argv);
  return tryRun(file, args, options);
}
