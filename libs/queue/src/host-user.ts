/**
 * A host's own user of Redis: its queue, the records of hand-overs that it has part in, and its own announcement; nothing else is
 * its to write, and no command that is about Redis itself (docs/operations.md, "Who may do what in Redis").
 *
 * INVARIANT: Redis is told the hash of the password, never the password.
 */
import { CmtError, hostQueue, keys, MIGRATIONS_QUEUE, PREFIX, type HostName } from '@cmt/contracts';
import type { Redis } from 'ioredis';
import { createHash } from 'node:crypto';
import { openHostQueue } from './leg-job.ts';
import { redisFacts } from './redis-facts.ts';

/** Name of a host's user. */
export const userOf = (host: HostName): string => `cmt-${host}`;

/** What may be written: the parent of a leg is the migration's job, so that queue is among it; its jobs are signed. */
const written = (host: HostName): string[] => [
  `${PREFIX}:${hostQueue(host)}:*`,
  `${PREFIX}:${MIGRATIONS_QUEUE}:*`,
  ...[`${PREFIX}:decision:*`, `${PREFIX}:resolution:*`, `${PREFIX}:events:*`, `${PREFIX}:alarms:*`],
  ...[keys.host(host), keys.hosts, `${PREFIX}:doctor:*`],
];
/** What is only looked at: whose migration it is, who is there, what is to be stopped, what was changed under way. */
const read = (host: HostName): string[] => [
  `${PREFIX}:saga:*`,
  `${PREFIX}:host:*`,
  `${PREFIX}:stop:${host}:*`,
  `${PREFIX}:cancel:*`,
  `${PREFIX}:tuning:*`,
];
const COMMANDS = [
  '+@all',
  '-@dangerous',
  '-@admin',
  '+info',
  '+client|setname',
  '+client|list',
  '+client|id',
];

/** The rule, as ACL SETUSER takes it. @param hasReadRights Redis 7 and newer tell reading from writing */
export const ruleOf = (host: HostName, password: string, hasReadRights: boolean): string[] => [
  ...['reset', 'on', `#${createHash('sha256').update(password).digest('hex')}`],
  ...written(host).map((pattern) => `~${pattern}`),
  ...read(host).map((pattern) => (hasReadRights ? `%R~${pattern}` : `~${pattern}`)),
  ...['resetchannels', `&${keys.control}`, `&${keys.wake}`, `&${PREFIX}:doctor:*`],
  ...COMMANDS,
];

/**
 * Makes the user, or brings it back to what it should be.
 * @returns false when Redis will have forgotten it after a restart: it has no file to write it to
 * @throws {CmtError} REDIS_REFUSED when this client may not make users
 */
export async function setHostUser(redis: Redis, host: HostName, password: string): Promise<boolean> {
  const { version } = await redisFacts(redis);
  const rule = ruleOf(host, password, Number(version.split('.')[0]) >= 7);
  await administering(redis, redis.acl('SETUSER', userOf(host), ...rule));
  return await keepUsers(redis);
}

/** Takes the user away, with all that Redis holds of the host. Migrations that it had part in stay. */
export async function forgetHost(redis: Redis, host: HostName): Promise<void> {
  await administering(redis, redis.acl('DELUSER', userOf(host)));
  await keepUsers(redis);
  await openHostQueue(redis, host).obliterate({ force: true });
  await redis.multi().zrem(keys.hosts, host).del(keys.host(host)).exec();
}

/** To the file of users, or to that of the configuration; which there is depends on how Redis was started. */
async function keepUsers(redis: Redis): Promise<boolean> {
  const saved = await redis.acl('SAVE').then(
    () => true,
    () => false,
  );
  if (saved) return true;
  return redis.config('REWRITE').then(
    () => true,
    () => false,
  );
}

async function administering<T>(redis: Redis, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    const { path, host, port } = redis.options;
    const url = path ?? `${host ?? ''}:${port ?? ''}`;
    if (error instanceof Error && /NOPERM|ERR/.test(error.message))
      throw new CmtError('REDIS_REFUSED', { url, reason: error.message });
    throw error;
  }
}
