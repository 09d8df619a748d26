/** The first look at a machine over ssh: who we are there, whether we may be root, and what it has. Changes nothing there. */
import { CmtError } from '@cmt/contracts';
import { z } from 'zod';
import { asRoot, sshRun, type SshHost } from './ssh.ts';

const yes = z.enum(['yes', 'no']).transform((word) => word === 'yes');

const Answer = z.object({
  system: z.string(),
  arch: z.string(),
  uid: z.coerce.number().int(),
  user: z.string(),
  /** As the machine's own sshd was reached: the address that hosts beside it most likely reach it by. */
  address: z.string(),
  root: yes,
  machine: z.string(),
  /** Absolute path and version; empty where there is none. */
  node: z.string(),
  nodeVersion: z.string(),
  programs: z.string().transform((text) => text.split(' ').filter((name) => name !== '')),
  systemd: yes,
  bundle: yes,
});

/** What a machine is and has. */
export interface RemoteSurvey extends z.infer<typeof Answer> {
  /** Whether everything has to go through `sudo -n`. */
  readonly sudo: boolean;
}

/** Programs that are looked for. */
const PROGRAMS = ['criu', 'runc', 'rsync', 'ip', 'tar', 'docker', 'podman'];
const LIMIT_MS = 30_000;
const SBIN = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** As the login user: $1 is the script for root, $2 a bundle or nothing. */
const FIRST = `set -u
echo "system=$(uname -s)"; echo "arch=$(uname -m)"
echo "uid=$(id -u)"; echo "user=$(id -un)"
set -- "$1" "$2" "$(echo "\${SSH_CONNECTION:-}" | cut -d' ' -f3)"
echo "address=$3"
if [ "$(id -u)" = 0 ]; then sh -c "$1" cmt "$2"; else sudo -n -- sh -c "$1" cmt "$2" || echo root=no; fi
`;

/** As root. */
const SECOND = `PATH="$PATH:${SBIN}"; export PATH
echo root=yes
echo "machine=$(cat /etc/machine-id 2>/dev/null || hostname)"
node=$(command -v node || :)
echo "node=$node"; echo "nodeVersion=$([ -z "$node" ] || "$node" --version 2>/dev/null)"
programs=; for name in ${PROGRAMS.join(' ')}; do command -v "$name" >/dev/null && programs="$programs $name"; done
echo "programs=$programs"
if [ -d /run/systemd/system ]; then echo systemd=yes; else echo systemd=no; fi
if [ -z "$1" ] || [ -f "$1/config.json" ]; then echo bundle=yes; else echo bundle=no; fi
`;

/**
 * Looks at a machine.
 * @param bundle a bundle that must be there
 * @throws {CmtError} SSH_*, SUDO_REFUSED, REMOTE_UNSUITABLE, BUNDLE_INVALID
 */
export async function surveyHost(
  host: SshHost,
  { bundle, signal }: { readonly bundle?: string | undefined; readonly signal?: AbortSignal } = {},
): Promise<RemoteSurvey> {
  const argv = ['sh', '-c', FIRST, 'cmt', SECOND, bundle ?? ''];
  const options = { timeoutMs: LIMIT_MS, ...(signal ? { signal } : {}) };
  const { stdout, stderr } = await sshRun(host, argv, options);
  const said = Object.fromEntries(
    stdout.split('\n').flatMap((line) => {
      const at = line.indexOf('=');
      return at > 0 ? [[line.slice(0, at), line.slice(at + 1)]] : [];
    }),
  );
  if (said['root'] === 'no') throw sudoRefused(host, said['user'] ?? '', stderr);
  const answer = Answer.safeParse(said);
  if (!answer.success)
    throw unsuitable(host, 'it does not answer like a Linux machine with a POSIX shell', stderr);
  if (answer.data.system !== 'Linux') throw unsuitable(host, `it runs ${answer.data.system}, not Linux`);
  if (!answer.data.bundle)
    throw new CmtError('BUNDLE_INVALID', {
      ...{ bundle: bundle ?? '', host: host.destination, problem: 'there is no config.json in it' },
    });
  return { ...answer.data, sudo: answer.data.uid !== 0 };
}

/** @throws {CmtError} REMOTE_UNSUITABLE naming all that is missing */
export function requirePrograms(host: SshHost, survey: RemoteSurvey, names: readonly string[]): void {
  const missing = names.filter((name) => !survey.programs.includes(name));
  if (missing.length > 0) throw unsuitable(host, `${missing.join(' and ')} not installed there`);
}

/** An argv as root of that machine. */
export const rootArgv = ({ sudo }: Pick<RemoteSurvey, 'sudo'>, argv: readonly string[]): string[] =>
  sudo ? asRoot(argv) : [...argv];

const unsuitable = (host: SshHost, reason: string, log = ''): CmtError =>
  new CmtError('REMOTE_UNSUITABLE', { host: host.destination, reason }, log);

const sudoRefused = (host: SshHost, user: string, stderr: string): CmtError =>
  new CmtError(
    'SUDO_REFUSED',
    { host: host.destination, user, reason: stderr.trim().split('\n').at(-1) || 'sudo says no' },
    stderr,
  );
