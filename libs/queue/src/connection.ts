/**
 * Connections to Redis: how an address is read, and the ways a connection behaves when Redis is not there.
 *
 * INVARIANTS
 * - A password is never part of what is shown, logged or put into an error.
 * - A producer's or voter's command that failed is never sent again behind the caller's back.
 * - Every connection has an error listener: without one a lost Redis would end the process.
 */
import { CmtError } from '@cmt/contracts';
import { Redis, ReplyError as ReplyErrorClass, type RedisOptions } from 'ioredis';
import type { Logger } from 'pino';

/**
 * `worker`: waits for Redis as long as it takes, and sends again what was not answered.
 * `producer`: fails at once while Redis is away.
 */
export type ConnectionRole = 'worker' | 'producer';

/** Where Redis is. `shown` is the address without its password. */
export interface RedisAddress {
  readonly shown: string;
  readonly options: RedisOptions;
}

/** An error that Redis itself answered with (untyped in ioredis). */
const ReplyError = ReplyErrorClass as new () => Error;

/** Milliseconds. Silence longer than the longest blocking read (10 s) means a dead connection. */
const SILENCE_MS = 12_000;
const CONNECT_MS = 5_000;
const RECONNECT_MS = 1_000;

/**
 * Reads `redis://[[user]:password@]host[:port][/db]`, `rediss://…` (TLS) or `unix:///path`.
 * @throws {CmtError} REDIS_UNREACHABLE for anything else
 */
export function parseRedisUrl(url: string, password = process.env.CMT_REDIS_PASSWORD): RedisAddress {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed === null || !['redis:', 'rediss:', 'unix:'].includes(parsed.protocol))
    throw unreachable(hidePassword(url), 'this is not a redis://, rediss:// or unix:// address');
  const secret = decodeURIComponent(parsed.password) || password;
  const common: RedisOptions = {
    ...(secret ? { password: secret } : {}),
    ...(parsed.username ? { username: decodeURIComponent(parsed.username) } : {}),
  };
  return { shown: hidePassword(url), options: { ...common, ...placeOf(parsed) } };
}

function placeOf(url: URL): RedisOptions {
  if (url.protocol === 'unix:') return { path: decodeURIComponent(url.pathname) };
  return {
    host: url.hostname.replace(/^\[|\]$/g, '') || '127.0.0.1',
    port: url.port ? Number(url.port) : 6379,
    ...(url.pathname.length > 1 ? { db: Number(url.pathname.slice(1)) } : {}),
    ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
  };
}

/**
 * Writes what is asked for in one turn of the event loop together: a command that is alone goes out at once, and those that follow it with
 * one call of the kernel at the end of the turn, where each alone would cost one, here and in Redis.
 */
class Connection extends Redis {
  #isInTurn = false;

  /** None before the first connection is begun. */
  get #wire(): Redis['stream'] | undefined {
    return this.stream;
  }

  override sendCommand(...asked: Parameters<Redis['sendCommand']>): unknown {
    if (this.#isInTurn && this.#wire?.writableCorked === 0) this.#wire.cork();
    if (!this.#isInTurn) process.nextTick(() => this.#endTurn());
    this.#isInTurn = true;
    return super.sendCommand(...asked);
  }

  #endTurn(): void {
    this.#isInTurn = false;
    this.#wire?.uncork();
  }
}

/** Opens a connection and returns at once; it connects, and connects again, by itself. */
export function openConnection(address: RedisAddress, role: ConnectionRole, logger: Logger): Redis {
  const redis = new Connection({ ...address.options, ...behaviour(role) });
  let said = '';
  redis.on('error', (error: Error) => {
    if (error.message !== said) logger.warn({ redis: address.shown, reason: error.message }, 'Redis is away');
    said = error.message;
  });
  redis.on('ready', () => (said = ''));
  return redis;
}

/**
 * Opens a producer's connection and waits until it is usable.
 * @throws {CmtError} REDIS_UNREACHABLE within about five seconds; REDIS_REFUSED when it does not take user and password
 */
export async function connectProducer(address: RedisAddress, logger: Logger): Promise<Redis> {
  const redis = new Redis({ ...address.options, ...behaviour('producer'), lazyConnect: true });
  let reason = 'no answer';
  redis.on('error', (error: Error) => {
    reason = error.message || error.name;
    logger.debug({ redis: address.shown, reason }, 'Redis is away');
  });
  try {
    await redis.connect();
    return redis;
  } catch (error) {
    redis.disconnect();
    const own = error instanceof Error && !error.message.includes('Connection is closed');
    const why = own ? error.message : reason;
    if (REFUSED.test(why)) throw new CmtError('REDIS_REFUSED', { url: address.shown, reason: why });
    throw unreachable(address.shown, why);
  }
}

function behaviour(role: ConnectionRole): RedisOptions {
  const common: RedisOptions = {
    connectTimeout: CONNECT_MS,
    socketTimeout: SILENCE_MS,
    keepAlive: CONNECT_MS,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), RECONNECT_MS),
  };
  if (role === 'worker') return { ...common, maxRetriesPerRequest: null };
  return {
    ...common,
    commandTimeout: CONNECT_MS,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
  };
}

/** What a command that Redis did not answer becomes for the caller. */
export const unreachable = (url: string, reason: string): CmtError =>
  new CmtError('REDIS_UNREACHABLE', { url, reason });

/**
 * What a command on this connection answers.
 * @throws {CmtError} REDIS_UNREACHABLE where the connection, not the command, failed
 */
export async function reaching<T>(redis: Redis, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof CmtError || error instanceof ReplyError || !(error instanceof Error)) throw error;
    if (!LOST.test(`${error.name} ${error.message}`)) throw error;
    const { path, host, port } = redis.options;
    throw unreachable(
      path === undefined ? `redis://${host ?? ''}:${port ?? ''}` : `unix://${path}`,
      error.message,
    );
  }
}

/** ioredis has no class for these. */
const LOST =
  /MaxRetriesPerRequest|Connection is closed|isn't writeable|timed out|timeout|ECONN|EPIPE|ENOENT|EHOSTUNREACH/i;

/** Redis is there and does not want to talk to this user. */
const REFUSED = /^(WRONGPASS|NOAUTH|NOPERM)\b/;

const hidePassword = (url: string): string =>
  url.replace(
    /^([a-z]+:\/\/)(?:([^:@/]+)(?::[^@]*)?|:[^@]*)@/,
    (_, scheme: string, user?: string) => `${scheme}${user === undefined ? '' : `${user}@`}`,
  );
