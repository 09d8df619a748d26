/** Whether a Redis can be relied on, as one line each for `cmt doctor`, and as a refusal for those who are about to work with it. */
import { CmtError, fine, PREFIX, type Diagnosis } from '@cmt/contracts';
import type { Redis } from 'ioredis';
import { randomBytes } from 'node:crypto';
import { keepsEveryWrite, redisFacts, type RedisFacts } from './redis-facts.ts';

/** BullMQ's own floor, and the version from which on all that cmt uses is there. */
const OLDEST = [6, 2] as const;

/** A clock that differs by more makes signed jobs and schedules unreliable. Milliseconds. */
const CLOCK_LIMIT_MS = 60_000;

/** @throws {CmtError} REDIS_FORGETS; CLOCK_OFF when this machine's clock is far from that of Redis */
export async function refuseUnfit(redis: Redis, url: string, host: string): Promise<void> {
  const { maxmemoryPolicy: policy } = await redisFacts(redis);
  if (policy !== 'noeviction' && policy !== 'unknown') throw new CmtError('REDIS_FORGETS', { url, policy });
  const offset = await clockOffset(redis);
  if (Math.abs(offset) > CLOCK_LIMIT_MS)
    throw new CmtError('CLOCK_OFF', { host, offset: Math.round(offset / 1000) });
}

/** Milliseconds that this machine's clock is ahead of that of Redis. */
export async function clockOffset(redis: Redis): Promise<number> {
  const before = Date.now();
  const [seconds, micros] = await redis.time();
  const there = Number(seconds) * 1000 + Number(micros) / 1000;
  return (before + Date.now()) / 2 - there;
}

/** What is to be said about a Redis, its rights tried out under keys of their own that are gone afterwards. */
export async function diagnoseRedis(
  redis: Redis,
  url: string,
): Promise<{ readonly diagnoses: Diagnosis[]; readonly mayAsk: boolean }> {
  const [facts, refused] = await Promise.all([redisFacts(redis), refusedRight(redis)]);
  const diagnoses = [versionOf(facts, url), policyOf(facts), durabilityOf(facts), rightsOf(refused)];
  return { diagnoses, mayAsk: refused === null };
}

function versionOf({ version }: RedisFacts, url: string): Diagnosis {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]))
    return fine('redis', 'redis', `Redis ${version} answers at ${url}`);
  const remedy = `Upgrade Redis to ${OLDEST.join('.')} or newer.`;
  return said('problem', `Redis ${version} at ${url} is older than ${OLDEST.join('.')}`, remedy);
}

function policyOf({ maxmemoryPolicy: policy }: RedisFacts): Diagnosis {
  if (policy === 'noeviction')
    return fine('redis', 'redis', 'it never throws away what it was given (noeviction)');
  const remedy = 'Set `maxmemory-policy noeviction` in redis.conf.';
  return said(
    'problem',
    `it may throw away jobs when memory is short: maxmemory-policy is ${policy}`,
    remedy,
  );
}

function durabilityOf(facts: RedisFacts): Diagnosis {
  if (keepsEveryWrite(facts)) return fine('redis', 'redis', 'every write is on disk before it is answered');
  const { appendonly, appendfsync, appendHealthy } = facts;
  const remedy =
    'Set `appendonly yes` and `appendfsync always`: else a migration in which both Redis and the target fail waits for an operator.';
  if (!appendonly) return said('warning', 'it keeps nothing over a restart (appendonly no)', remedy);
  if (!appendHealthy)
    return said(
      'problem',
      'its last write to the append-only file failed',
      'Free space on the disk of Redis; see its log.',
    );
  if (appendfsync === null)
    return said('note', 'this user may not ask whether every write is on disk', 'Allow it `+config|get`.');
  return said('warning', `it may lose its last second (appendfsync ${appendfsync})`, remedy);
}

const rightsOf = (refused: string | null): Diagnosis =>
  refused === null
    ? fine('redis', 'redis', 'this user may do what cmt needs')
    : said(
        'problem',
        `this user may not do what cmt needs: ${refused}`,
        'See the ACL rule in docs/operations.md.',
      );

const said = (level: Diagnosis['level'], message: string, remedy: string): Diagnosis => ({
  ...{ level, area: 'redis', about: 'redis', message, remedy },
});

/** The first of the kinds of commands that queues are made of which Redis refuses, in its words; null when it takes all. */
async function refusedRight(redis: Redis): Promise<string | null> {
  const key = `${PREFIX}:doctor:${randomBytes(8).toString('hex')}`;
  const trial = redis
    .pipeline()
    .eval("redis.call('SET', KEYS[1], 'x', 'PX', 10000) return 1", 1, key)
    .del(key)
    .hset(key, 'field', 'x')
    .del(key)
    .zadd(key, 1, 'x')
    .del(key)
    .xadd(key, '*', 'field', 'x')
    .del(key)
    .publish(key, 'x');
  const answers = (await trial.exec()) ?? [];
  return answers.find(([error]) => error !== null)?.[0]?.message ?? null;
}
