/** What ended migrations have left in Redis that nobody will ever take up again. */
import { FLEET_QUEUE, hostQueue, isEnd, keys, MIGRATIONS_QUEUE, ORDERS_QUEUE, PREFIX } from '@cmt/contracts';
import { listSagas, type RedisConnection } from '@cmt/queue';

/** Parts of a queue in which a job waits for somebody; a job that has ended is in `completed`. */
const PENDING = ['active', 'wait', 'paused', 'delayed', 'prioritized', 'waiting-children', 'failed'];
/** Keys that BullMQ keeps beside its jobs. */
const OF_QUEUE = [
  ...PENDING,
  'completed',
  'stalled',
  'stalled-check',
  'meta',
  'id',
  'events',
  'marker',
  'pc',
  'limiter',
];
/** Keys that are kept for ever, or until they expire, as looked up by those who come later. */
const KEPT = [
  /^(saga|events|decision|cancel|host|stop|tuning):/,
  /^(sagas|hosts|coordinator|tally|limits|drains)$/,
];
const MANY = 10_000;

/** One line for each thing; empty when all that was asked for has ended and was let go of. */
export async function pendingInRedis(redis: RedisConnection, hosts: readonly string[]): Promise<string[]> {
  const queues = [MIGRATIONS_QUEUE, FLEET_QUEUE, ORDERS_QUEUE, ...hosts.map(hostQueue)];
  const [jobs, open, names] = await Promise.all([
    Promise.all(queues.map((queue) => pendingJobs(redis, queue))),
    listSagas(redis, MANY),
    redis.keys(`${PREFIX}:*`),
  ]);
  const unended = open
    .filter(({ state }) => !isEnd(state))
    .map(({ id, state }) => `migration ${id} is ${state}`);
  const ended = new Set((await Promise.all(queues.map((queue) => endedJobs(redis, queue)))).flat());
  const stray = names
    .map((name) => name.slice(PREFIX.length + 1))
    .filter((name) => !KEPT.some((kept) => kept.test(name)) && !isOfQueue(name, queues, ended));
  return [
    ...jobs.flat(),
    ...unended,
    ...stray.map((name) => `key ${name}`),
    ...(await immortal(redis, names)),
  ];
}

async function pendingJobs(redis: RedisConnection, queue: string): Promise<string[]> {
  const found = await Promise.all(
    PENDING.map(async (part) => {
      const key = `${PREFIX}:${queue}:${part}`;
      const type = await redis.type(key);
      const ids =
        type === 'list'
          ? await redis.lrange(key, 0, -1)
          : type === 'zset'
            ? await redis.zrange(key, 0, -1)
            : [];
      return ids.map((id) => `${queue}: ${id} is ${part}`);
    }),
  );
  return found.flat();
}

const endedJobs = async (redis: RedisConnection, queue: string): Promise<string[]> =>
  (await redis.zrange(`${PREFIX}:${queue}:completed`, 0, -1)).map((id) => `${queue}:${id}`);

/** A key of the queue itself, or of a job that has ended; of those the locks and pending children must be gone. */
function isOfQueue(name: string, queues: readonly string[], ended: ReadonlySet<string>): boolean {
  const queue = queues.find((each) => name.startsWith(`${each}:`));
  if (queue === undefined) return false;
  if (OF_QUEUE.includes(name.slice(queue.length + 1))) return true;
  const [job = '', part] = name.slice(queue.length + 1).split(':');
  return ended.has(`${queue}:${job}`) && part !== 'lock' && part !== 'dependencies';
}

/** Requests to stop, cancel or tune must expire by themselves. */
async function immortal(redis: RedisConnection, names: readonly string[]): Promise<string[]> {
  const mortal = [keys.cancel(''), keys.stop('', '').slice(0, -1), keys.tuning('')];
  const asked = names.filter((name) => mortal.some((start) => name.startsWith(start)));
  const lives = await Promise.all(asked.map((name) => redis.pttl(name)));
  return asked.filter((_, n) => lives[n] === -1).map((name) => `${name} never expires`);
}
