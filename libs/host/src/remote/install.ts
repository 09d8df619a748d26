/**
 * A worker installed for good on a machine reached over ssh, and taken away again.
 *
 * INVARIANTS
 * - Done twice it changes nothing: a file that is right is left alone, a service that runs with the right files goes on running.
 * - What is secret comes by standard input, into files that are 0600 from their first byte.
 * - Scripts are constants; names and paths are arguments.
 */
import { CmtError } from '@cmt/contracts';
import { REMOVE_TREE } from '../mounts.ts';
import { WORKER_NODE_FLAGS } from '../node-flags.ts';
import type { Pushed } from './push.ts';
import { sshRun, type SshHost } from './ssh.ts';
import { rootArgv, type RemoteSurvey } from './survey.ts';

export interface RemoteMachine {
  readonly host: SshHost;
  readonly survey: RemoteSurvey;
  readonly signal?: AbortSignal;
}

/** Where an installed worker keeps what is its own. */
export const INSTALLED = {
  root: '/opt/cmt',
  config: '/etc/cmt/config.json',
  trusted: '/etc/cmt/trusted.d',
  sshKey: '/etc/cmt/id_ed25519',
  stateDir: '/var/lib/cmt',
} as const;

const UNIT = '/etc/systemd/system/cmt-worker.service';
const LIMIT_MS = 60_000;

/** $1 a file; standard input becomes its content. Says whether that changed anything. */
const PUT = `set -eu
umask 077
mkdir -p "\${1%/*}"
draft=$(mktemp "$1.XXXXXX")
trap 'rm -f "$draft"' EXIT
cat > "$draft"
if cmp -s "$draft" "$1"; then echo same; else mv "$draft" "$1"; echo changed; fi
`;

/** $1 a file: its content, or nothing. */
const GET = 'if [ -f "$1" ]; then cat "$1"; fi';

/** $1 the file of a private key, $2 what it is called: made unless it is there; says the public one. */
const KEY = `set -eu
umask 077
[ -f "$1" ] || { mkdir -p "\${1%/*}"; ssh-keygen -q -t ed25519 -N '' -C "$2" -f "$1"; }
cat "$1.pub"
`;

/** $1 a line of authorized_keys, $2 the comment at its end: any other line with that comment goes. */
const AUTHORISE = `set -eu
umask 077
file="$(getent passwd root | cut -d: -f6)/.ssh/authorized_keys"
mkdir -p "\${file%/*}"; touch "$file"
if [ -n "$1" ] && grep -qxF -- "$1" "$file"; then exit 0; fi
draft=$(mktemp "$file.XXXXXX")
grep -v -- " $2\\$" "$file" > "$draft" || :
[ -z "$1" ] || printf '%s\\n' "$1" >> "$draft"
mv "$draft" "$file"
`;

/** $1 changed or same. */
const SERVICE = `set -eu
systemctl daemon-reload
systemctl enable --quiet cmt-worker.service
if [ "$1" = changed ]; then systemctl restart cmt-worker.service; else systemctl start cmt-worker.service; fi
`;

/** The running worker's process, checked by what it runs; nothing when there is none. */
const FIND = `pid=$(cat /run/cmt/worker.pid 2>/dev/null || :)
if [ -n "$pid" ] && ! tr '\\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null | grep -q ' worker --config /etc/cmt/'; then pid=; fi
`;

/** Ends the worker and waits for its end, as systemd would. */
const END = `if [ -n "$pid" ]; then
  kill "$pid"
  for try in $(seq 900); do [ -d "/proc/$pid" ] || break; sleep 0.1; done
  [ ! -d "/proc/$pid" ]
fi
`;

/** $1 changed or same, $2 node, $3 cli.js, $4 the configuration. */
const DAEMON = `set -eu
umask 077
mkdir -p /run/cmt
${FIND}
if [ "$1" = same ] && [ -n "$pid" ]; then exit 0; fi
${END}
setsid "$2" ${WORKER_NODE_FLAGS.join(' ')} "$3" worker --config "$4" < /dev/null >> /var/log/cmt-worker.log 2>&1 &
echo $! > /run/cmt/worker.pid
`;

/** $1 keep or purge: whether its journal goes, too. $2 removes a tree, but not through a mount. */
const REMOVE = `set -eu
if [ -d /run/systemd/system ] && [ -f ${UNIT} ]; then
  systemctl disable --quiet --now cmt-worker.service || :
  rm -f ${UNIT}
  systemctl daemon-reload
fi
${FIND}
${END}
rm -f /run/cmt/worker.pid
script=$2
remove() {
  [ -e "$1" ] || return 0
  mounted=$(unshare --mount --propagation private -- sh -c "$script" sh "$1" "$1") && return 0
  [ -z "$mounted" ] || echo "$1 is kept: $mounted is mounted there" >&2
  exit 1
}
remove /etc/cmt
remove /opt/cmt
if [ "$1" = purge ]; then remove /var/lib/cmt; remove /run/cmt; fi
`;

export interface WorkerFiles {
  readonly pushed: Pushed;
  /** Content of the configuration. */
  readonly config: string;
  /** PEM of the coordinators' keys, by file name. */
  readonly trusted: ReadonlyMap<string, string>;
  /** False: started as a plain process, also where systemd is there. */
  readonly asService: boolean;
}

/** @returns whether anything had to be changed. @throws {CmtError} REMOTE_FAILED, SSH_* */
export async function installWorker(machine: RemoteMachine, files: WorkerFiles): Promise<boolean> {
  const { pushed, config, trusted, asService } = files;
  const changes = [await put(machine, INSTALLED.config, config)];
  for (const [name, pem] of trusted) changes.push(await put(machine, `${INSTALLED.trusted}/${name}`, pem));
  if (asService) changes.push(await put(machine, UNIT, unitOf(pushed)));
  const changed = pushed.uploaded || changes.includes(true);
  const state = changed ? 'changed' : 'same';
  if (asService) await asked(machine, 'Starting the service', SERVICE, [state]);
  else
    await asked(machine, 'Starting the worker', DAEMON, [state, pushed.node, pushed.cli, INSTALLED.config]);
  return changed;
}

/** What the machine's worker is configured with, or null. */
export async function installedConfig(machine: RemoteMachine): Promise<string | null> {
  const text = await asked(machine, 'Reading its configuration', GET, [INSTALLED.config]);
  return text.trim() === '' ? null : text;
}

/** Its own key for other hosts, made at the first time. @returns the public one, as authorized_keys has it */
export const workerSshKey = async (machine: RemoteMachine, name: string): Promise<string> =>
  (await asked(machine, 'Making its ssh key', KEY, [INSTALLED.sshKey, commentOf(name)])).trim();

/** Lets the worker of host `name` in with that key, to its neighbour's socket and to nothing else; null lets it in no more. */
export async function authorise(
  machine: RemoteMachine,
  name: string,
  publicKey: string | null,
): Promise<void> {
  const [type = '', key = ''] = publicKey?.split(' ') ?? [];
  const line = `restrict,port-forwarding,command="/bin/true" ${type} ${key} ${commentOf(name)}`;
  await asked(machine, 'Letting a worker in', AUTHORISE, [publicKey === null ? '' : line, commentOf(name)]);
}

/** @param purge its journal goes as well. @throws {CmtError} REMOTE_FAILED, SSH_* */
export async function removeWorker(machine: RemoteMachine, purge: boolean): Promise<void> {
  await asked(machine, 'Taking the worker away', REMOVE, [purge ? 'purge' : 'keep', REMOVE_TREE]);
}

const commentOf = (name: string): string => `cmt:${name}`;

const put = async (machine: RemoteMachine, path: string, content: string): Promise<boolean> =>
  (await asked(machine, `Writing ${path}`, PUT, [path], content)).trim() !== 'same';

async function asked(
  { host, survey, signal }: RemoteMachine,
  what: string,
  script: string,
  args: readonly string[],
  input?: string,
): Promise<string> {
  const argv = rootArgv(survey, ['sh', '-c', script, 'cmt', ...args]);
  const options = {
    timeoutMs: LIMIT_MS * 2,
    ...(signal ? { signal } : {}),
    ...(input === undefined ? {} : { input }),
  };
  const { code, stdout, stderr } = await sshRun(host, argv, options);
  if (code === 0) return stdout;
  const reason = stderr.trim().split('\n').at(-1) ?? `exit code ${code ?? 'none'}`;
  throw new CmtError('REMOTE_FAILED', { host: host.destination, what, reason }, stderr);
}

/** As packaging/systemd/cmt-worker.service, with the program where it was put. */
export const unitOf = ({ node, cli }: Pick<Pushed, 'node' | 'cli'>): string => `[Unit]
Description=cmt worker: runs this host's part of container migrations
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=${node} ${WORKER_NODE_FLAGS.join(' ')} ${cli} worker --config ${INSTALLED.config}
Restart=always
RestartSec=2
KillMode=process
TimeoutStopSec=90
Delegate=yes
TasksMax=infinity
LimitNOFILE=1048576
StateDirectory=cmt
StateDirectoryMode=0700
RuntimeDirectory=cmt
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
UMask=0077

[Install]
WantedBy=multi-user.target
`;
