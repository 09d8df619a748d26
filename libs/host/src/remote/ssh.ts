/**
 * A machine reached by the system's own `ssh`: whatever ~/.ssh/config says of it (ports, jump hosts, keys, known_hosts) holds.
 *
 * INVARIANTS
 * - Nobody is asked anything (BatchMode), and no host key is believed that ssh does not believe by itself.
 * - The agent is never forwarded, nor X11, nor any forward that the user's own configuration lists for this machine.
 * - What runs there is an argv, quoted for the login shell as a whole; scripts are constants of this program.
 */
import { CmtError } from '@cmt/contracts';
import { ProcessError, tryRun, type Finished, type RunOptions } from '../process.ts';
import { quoted } from '../shell.ts';
import { sshFailure } from './ssh-failure.ts';

/** `user@host` as ssh(1) takes it; a name of ~/.ssh/config does as well. */
export interface SshHost {
  readonly destination: string;
  /** Without it the one of ~/.ssh/config, or 22. */
  readonly port?: number | undefined;
  /** Absolute path of the configuration for ssh(1) to read instead of ~/.ssh/config. */
  readonly config?: string | undefined;
}

export interface SshRunOptions extends Omit<RunOptions, 'env' | 'cwd' | 'withChildren'> {
  /** Become root by `sudo -n` first. */
  readonly sudo?: boolean;
}

/** Seconds: to connect, and of silence (times three) after which a connection is dead. */
const CONNECT_S = 10;
const ALIVE_S = 5;

/** Exit code with which ssh(1) speaks of itself and not of the remote program. */
export const SSH_FAILED = 255;

/** Options of every connection, for whatever it is. */
export function sshOptions({ port, config }: SshHost): string[] {
  return [
    ...['-a', '-x', '-T'],
    ...option('BatchMode=yes', `ConnectTimeout=${CONNECT_S}`, 'ConnectionAttempts=1'),
    ...option(`ServerAliveInterval=${ALIVE_S}`, 'ServerAliveCountMax=3', 'TCPKeepAlive=yes'),
    ...option('ControlMaster=no', 'ControlPath=none', 'ForwardAgent=no', 'ForwardX11=no', 'Tunnel=no'),
    ...option('PermitLocalCommand=no', 'RemoteCommand=none', 'RequestTTY=no', 'LogLevel=INFO'),
    ...(port === undefined ? [] : ['-p', String(port)]),
    ...(config === undefined ? [] : ['-F', config]),
  ];
}

/** The whole argv of an ssh that runs `argv` there. @param options further ones, e.g. forwards */
export const sshArgv = (
  host: SshHost,
  argv: readonly string[],
  options: readonly string[] = [],
): string[] => [...['ssh', ...sshOptions(host), ...options, '--', host.destination], quoted(argv)];

/**
 * Runs an argv there and returns how it ended, whatever its exit code.
 * @throws {CmtError} SSH_* where ssh itself failed, SUDO_REFUSED is the caller's to find out
 */
export async function sshRun(
  host: SshHost,
  argv: readonly string[],
  { sudo = false, ...options }: SshRunOptions,
): Promise<Finished> {
  const command = sudo ? asRoot(argv) : argv;
  const [file = 'ssh', ...args] = sshArgv(host, command, option('ClearAllForwardings=yes'));
  const finished = await tryRun(file, args, options).catch((error: unknown) => {
    if (!(error instanceof ProcessError)) throw error;
    throw new CmtError('SSH_MISSING', { host: host.destination });
  });
  if (finished.timedOut) throw timedOut(host, options.timeoutMs);
  if (finished.code === SSH_FAILED) throw sshFailure(host.destination, finished.stderr);
  return finished;
}

export const asRoot = (argv: readonly string[]): string[] => ['sudo', '-n', '--', ...argv];

function option(...settings: string[]): string[] {
  return settings.flatMap((setting) => ['-o', setting]);
}

const timedOut = (host: SshHost, ms: number): CmtError =>
  new CmtError('SSH_UNREACHABLE', { host: host.destination, reason: `no answer within ${ms} ms` });
