/**
 * The private Redis of somebody who configured none: a `redis-server` on a unix socket that only its owner can open.
 * It keeps every write (append-only, fsync always) and refuses rather than forgets (noeviction).
 */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CmtError } from '@cmt/contracts';
import { ALREADY_RUNS, findDaemon, NOT_INSTALLED, startDaemon, stopDaemon } from './daemon.ts';

export interface RedisSpec {
  /** Configuration, data and log; made 0700. */
  readonly dir: string;
  /** Path of the unix socket, at most 107 bytes (unix(7)). */
  readonly socket: string;
  /** Address to listen on besides the socket; nothing listens on TCP without it, and never without a password. */
  readonly tcp?: { readonly bind: string; readonly port: number; readonly password: string };
  /** Put before `redis-server`, e.g. to enter a network namespace. Must exec and must not change the pid namespace. */
  readonly argvPrefix?: readonly string[];
}

/** Loading a long append-only file takes its time. */
const START_MS = 30_000;
const STOP_MS = 10_000;
const SOCKET_PATH_MAX = 107;

/**
 * Starts Redis unless it runs already, and returns once it answers.
 * @throws {CmtError} REDIS_MISSING, or REDIS_UNREACHABLE with the end of its log.
 */
export async function startRedis(spec: RedisSpec, signal?: AbortSignal): Promise<void> {
  const url = `unix://${spec.socket}`;
  if (Buffer.byteLength(spec.socket) > SOCKET_PATH_MAX)
    throw new CmtError('REDIS_UNREACHABLE', {
      url,
      reason: 'the path of its socket is longer than 107 bytes',
    });
  await mkdir(spec.dir, { recursive: true, mode: 0o700 });
  await chmod(spec.dir, 0o700);
  const config = join(spec.dir, 'redis.conf');
  if (!(await isRedisRunning(spec.dir))) await writeFile(config, configText(spec), { mode: 0o600 });
  const deadline = performance.now() + START_MS;
  for (;;) {
    const { ended, logFile } = await startDaemon({
      ...{ dir: spec.dir, name: 'redis', argv: ['redis-server', config], env: { LC_ALL: 'C' } },
      ...(spec.argvPrefix ? { argvPrefix: spec.argvPrefix } : {}),
    });
    const failed = (code: number | null) => startError(url, code, logFile);
    if (await answers(spec, { ended, signal, deadline, failed })) return;
  }
}

/** Ends Redis, its data on disk. @returns false when it was not running. */
export async function stopRedis(dir: string): Promise<boolean> {
  return stopDaemon({ dir, name: 'redis' }, STOP_MS);
}

/** True while the Redis of this directory lives. */
export async function isRedisRunning(dir: string): Promise<boolean> {
  return (await findDaemon({ dir, name: 'redis' })) !== undefined;
}

interface Waiting {
  readonly ended: Promise<number | null>;
  readonly signal: AbortSignal | undefined;
  /** On performance.now()'s clock. */
  readonly deadline: number;
  readonly failed: (code: number | null) => Promise<CmtError>;
}

/** False when the one that ran already has ended: it was dying, and held its lock until then. */
async function answers(spec: RedisSpec, { ended, signal, deadline, failed }: Waiting): Promise<boolean> {
  let gone: { code: number | null } | undefined;
  void ended.then((code) => (gone = { code }));
  while (!(await answersPing(spec.socket, spec.tcp?.password))) {
    signal?.throwIfAborted();
    if (gone && gone.code !== ALREADY_RUNS) throw await failed(gone.code);
    if (performance.now() > deadline) throw await failed(null);
    if (gone && !(await isRedisRunning(spec.dir))) return false;
    // Redis announces its readiness to nobody but systemd.
    await pause(10);
  }
  return true;
}

async function startError(url: string, code: number | null, logFile: string): Promise<CmtError> {
  if (code === NOT_INSTALLED) return new CmtError('REDIS_MISSING');
  const log = (await readFile(logFile, 'utf8').catch(() => '')).trimEnd();
  const how = code === null ? 'it did not get ready in time' : `redis-server ended with ${code}`;
  return new CmtError('REDIS_UNREACHABLE', { url, reason: `${how}, see ${logFile}` }, log);
}

/** True when a Redis on this socket is done loading. Speaks RESP itself: only libs/queue knows a Redis library. */
function answersPing(socket: string, password?: string): Promise<boolean> {
  return new Promise((resolve) => {
    const client = connect(socket);
    let answer = '';
    client.setTimeout(1000, () => client.destroy());
    client.once('connect', () => client.write(`${password ? `AUTH ${password}\r\n` : ''}PING\r\n`));
    client.on('data', (bytes) => {
      answer += bytes.toString('latin1');
      if (/^(\+PONG|-)/m.test(answer)) client.end();
    });
    client.on('error', () => client.destroy());
    client.once('close', () => resolve(/^\+PONG/m.test(answer)));
  });
}

/** The word syntax of redis.conf: double quotes, with backslash escapes. */
const quoted = (text: string): string => JSON.stringify(text);

function configText({ dir, socket, tcp }: RedisSpec): string {
  const listen = tcp
    ? [`port ${tcp.port}`, `bind ${quoted(tcp.bind)}`, `requirepass ${quoted(tcp.password)}`]
    : ['port 0'];
  return [
    `unixsocket ${quoted(socket)}`,
    'unixsocketperm 600',
    ...listen,
    `dir ${quoted(dir)}`,
    'appendonly yes',
    'appendfsync always',
    'save ""',
    'maxmemory-policy noeviction',
    'daemonize no',
    '',
  ].join('\n');
}
