/**
 * A worker on a machine that has none: started over ssh, found again by the next command of the same client, and looked after by a
 * shell that starts it again when it crashes.
 *
 * INVARIANTS
 * - One worker a machine: it listens on the receiver's socket of the machine's one state directory, whoever started it.
 * - `home` (configuration, trusted key, lock, log) is root's alone; `sockets` belongs to the login, whose ssh binds there.
 * - The lock is held by the shell that looks after the worker, and by nothing that the worker starts.
 */
import { AbsolutePath, CmtError, type AgentlessConfig, type WorkerConfig } from '@cmt/contracts';
import { receiveSocketOf } from '../transports/endpoint.ts';
import { WORKER_NODE_FLAGS } from '../node-flags.ts';
import type { Pushed } from './push.ts';
import { sshRun, type SshHost } from './ssh.ts';
import { rootArgv, type RemoteSurvey } from './survey.ts';

/** State of the machine's worker: its journal above all. The same as of a worker that was installed for good. */
export const REMOTE_STATE_DIR = '/var/lib/cmt';

/** What a client says about the worker it wants. */
export interface WorkerWish {
  /** Of the client: letters and digits. */
  readonly client: string;
  readonly name: string;
  /** Of the client's Redis, where its own socket does not say enough. */
  readonly redisPassword: string | undefined;
  /** PEM of the one key whose orders are obeyed. */
  readonly trustedKey: string;
  readonly idleMs: number;
  readonly awayMs: number;
}

const LIMIT_MS = 30_000;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export const socketsOf = (client: string): string => `/run/cmt-agentless/${client}`;
const homeOf = (client: string): string => `/run/cmt/agentless/${client}`;

/** Its configuration as it will read it. */
export function remoteWorkerConfig(
  wish: WorkerWish,
  { address, uid, gid }: Pick<RemoteSurvey, 'address' | 'uid' | 'gid'>,
): Partial<WorkerConfig> & { readonly agentless: AgentlessConfig } {
  const { client, name, redisPassword, idleMs, awayMs } = wish;
  const [sockets, home] = [socketsOf(client), homeOf(client)];
  const password = redisPassword === undefined ? '' : `:${redisPassword}@localhost`;
  return {
    ...{ name, address, stateDir: REMOTE_STATE_DIR, hooks: 'any', logLevel: 'info' },
    ...{ redis: `unix://${password}${sockets}/redis.sock`, trustedKeysDir: `${home}/trusted` },
    agentless: { sockets, home, uid, gid, idleMs, awayMs },
  };
}

/** $1 node, $2 cli.js, $3 home: runs the worker until it ends by itself, and again when it crashes. */
const LOOK_AFTER = `n=0
until env -i PATH=${PATH} HOME=/root LANG=C.UTF-8 "$1" ${WORKER_NODE_FLAGS.join(' ')} "$2" worker --config "$3/config.json" 9>&-
do n=$((n + 1)); [ $n -lt 100 ] || break; sleep 2; done
`;

/** $1 node, $2 socket: exit code 0 when somebody listens there. */
const IS_SERVED = `require('node:net').connect(process.argv[1]).on('connect', () => process.exit(0)).on('error', () => process.exit(1))`;

/** $1 home, $2 sockets, $3 owner, $4 node, $5 cli.js, $6 receiver's socket, $7 what looks after it, $8 the question who listens. */
const START = `set -eu
umask 077
IFS= read -r config
key=$(cat)
mkdir -p "$1/trusted"
(umask 022; mkdir -p "\${2%/*}")
mkdir -p "$2"; chmod 0700 "$2"; chown "$3" "$2"
exec 9>"$1/lock"
if ! flock -n 9; then echo running; exit 0; fi
if "$4" -e "$8" "$6"; then rm -rf "$1" "$2"; echo taken; exit 0; fi
printf '%s\\n' "$config" >"$1/config.json"
printf '%s\\n' "$key" >"$1/trusted/coordinator.pub"
home=$1 sockets=$2
set -- sh -c "$7" cmt-worker "$4" "$5" "$home"
if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null
then set -- systemd-run --quiet --collect --scope -- "$@"; fi
setsid "$@" </dev/null >>"$home/worker.log" 2>&1 &
echo $! >"$sockets/worker.pid"; chmod 0644 "$sockets/worker.pid"
echo started
`;

/** $1 home, $2 sockets: ends it, if it has nothing open it leaves nothing behind. */
const STOP = `[ -f "$2/worker.pid" ] || exit 0
kill -TERM "-$(cat "$2/worker.pid")" 2>/dev/null
for n in $(seq 100); do [ -d "$1" ] || break; sleep 0.1; done
`;

/**
 * Starts the worker unless it runs already.
 * @throws {CmtError} SSH_*, REMOTE_HAS_WORKER when the machine's worker is somebody else's, REMOTE_FAILED
 */
export async function startRemoteWorker(
  host: SshHost,
  {
    survey,
    pushed,
    wish,
    signal,
  }: Readonly<{ survey: RemoteSurvey; pushed: Pushed; wish: WorkerWish; signal?: AbortSignal }>,
): Promise<void> {
  const config = remoteWorkerConfig(wish, survey);
  const { sockets, home } = config.agentless;
  const owner = `${survey.uid}:${survey.gid}`;
  const receiver = receiveSocketOf({ stateDir: AbsolutePath.parse(REMOTE_STATE_DIR) });
  const args = [home, sockets, owner, pushed.node, pushed.cli, receiver, LOOK_AFTER, IS_SERVED];
  const { code, stdout, stderr } = await sshRun(host, rootArgv(survey, ['sh', '-c', START, 'cmt', ...args]), {
    timeoutMs: LIMIT_MS,
    input: `${JSON.stringify(config)}\n${wish.trustedKey}`,
    ...(signal ? { signal } : {}),
  });
  const said = stdout.trim();
  if (said === 'taken')
    throw new CmtError('REMOTE_HAS_WORKER', { host: host.destination, name: 'a fleet, or another client' });
  if (code === 0 && (said === 'started' || said === 'running')) return;
  const reason = stderr.trim().split('\n').at(-1) ?? '';
  throw new CmtError('REMOTE_FAILED', { host: host.destination, what: 'Starting a worker', reason }, stderr);
}

/** Ends the client's worker on a machine, for a first connection that came to nothing. Never throws what ssh says. */
export async function stopRemoteWorker(host: SshHost, survey: RemoteSurvey, client: string): Promise<void> {
  const argv = ['sh', '-c', STOP, 'cmt', homeOf(client), socketsOf(client)];
  await sshRun(host, rootArgv(survey, argv), { timeoutMs: LIMIT_MS }).catch((error: unknown) => {
    if (!(error instanceof CmtError)) throw error;
  });
}
