/**
 * The one ssh connection to a machine that is worked on: it carries the worker's way to the client's Redis, the ways through the
 * client to other machines, and word of the worker's end.
 *
 * INVARIANTS
 * - Every session binds sockets of fresh names there, and then points the names that the worker knows at them: what a dead
 *   connection left neither stands in the way nor is reached any more.
 * - It ends with its ssh process, and that with whoever started it: its standard input says so.
 */
import { CmtError } from '@cmt/contracts';
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { start } from '../process.ts';
import { socketsOf } from './remote-worker.ts';
import { SSH_FAILED, sshArgv, type SshHost } from './ssh.ts';
import { sshFailure } from './ssh-failure.ts';

/** Unix sockets on this machine. */
export interface SessionSockets {
  /** Redis, which the worker reaches. */
  readonly redis: string;
  /** Served here: leads to other machines. */
  readonly relay: string;
  /** Made by the session: leads to that machine's receiver. */
  readonly receive: string;
}

/** How a session ended: the worker is gone by itself, it crashed for good, or the connection is lost. */
export type SessionEnd = 'worker-left' | 'worker-died' | 'lost';

export interface RemoteSession {
  /** Resolves when the worker's ways are open. @throws {CmtError} SSH_* */
  readonly ready: Promise<void>;
  readonly ended: Promise<SessionEnd>;
  close(): void;
}

/** $1 the sockets' folder, $2 the names' end. Runs as the login, and ends with its input or with the worker. */
const ATTEND = `set -u
dir=$1 now=$2
cd "$dir" || exit 3
for name in redis relay; do ln -sfn "$name.$now" "$name.sock" || exit 3; done
for old in redis.* relay.*; do case $old in *."$now" | *.sock) ;; *) rm -f "$old" ;; esac; done
echo ready
exec 3<&0
(cat <&3 >/dev/null; kill $$) 2>/dev/null &
while [ -d "$dir" ]; do
  pid=$(cat "$dir/worker.pid" 2>/dev/null)
  [ -n "$pid" ] && [ -d "/proc/$pid" ] || { sleep 1; [ -d "$dir" ] && echo died; break; }
  sleep 1
done
kill %1 2>/dev/null
[ -d "$dir" ] || echo left
`;

/** Longest path of a unix socket (unix(7)). */
const LONGEST = 107;

/** Opens a session. @throws {CmtError} REMOTE_FAILED for sockets that nobody could bind */
export function openSession(host: SshHost, client: string, sockets: SessionSockets): RemoteSession {
  const there = socketsOf(client);
  const now = randomBytes(6).toString('hex');
  for (const path of Object.values(sockets) as string[])
    if (Buffer.byteLength(path) > LONGEST || path.includes(':'))
      throw failed(host, `${path} is no path for a socket: choose another --state-dir`);
  const forwards = [
    ...['-o', 'ExitOnForwardFailure=yes', '-o', 'StreamLocalBindUnlink=yes'],
    ...['-R', `${there}/redis.${now}:${sockets.redis}`, '-R', `${there}/relay.${now}:${sockets.relay}`],
    ...['-L', `${sockets.receive}:${there}/receive.sock`],
  ];
  const [file = 'ssh', ...args] = sshArgv(host, ['sh', '-c', ATTEND, 'cmt', there, now], forwards);
  const ssh = start(file, args, { stdio: ['pipe', 'pipe', 'pipe'], buffer: { stdout: false, stderr: true } });
  const said = heard(ssh.stdout);
  const ended = ssh.then(async (finished) => {
    const words = await said.all;
    const end: SessionEnd = words.includes('left')
      ? 'worker-left'
      : words.includes('died')
        ? 'worker-died'
        : 'lost';
    return {
      end,
      code: finished.exitCode,
      stderr: typeof finished.stderr === 'string' ? finished.stderr : '',
    };
  });
  const over = ended.then(({ code, stderr }) => {
    throw code === SSH_FAILED
      ? sshFailure(host.destination, stderr)
      : failed(host, stderr.trim() || 'it ended early');
  });
  const ready = Promise.race([said.ready, over]);
  ready.catch(() => undefined);
  over.catch(() => undefined);
  return { ready, ended: ended.then(({ end }) => end), close: () => void ssh.kill() };
}

function heard(stream: NodeJS.ReadableStream | null): { ready: Promise<void>; all: Promise<string[]> } {
  const words: string[] = [];
  let isReady: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => (isReady = resolve));
  if (stream === null) return { ready, all: Promise.resolve(words) };
  const lines = createInterface({ input: stream });
  lines.on('line', (line) => {
    words.push(line.trim());
    if (line.trim() === 'ready') isReady();
  });
  return { ready, all: new Promise((resolve) => lines.once('close', () => resolve(words))) };
}

const failed = (host: SshHost, reason: string): CmtError =>
  new CmtError('REMOTE_FAILED', { host: host.destination, what: 'The session', reason });
