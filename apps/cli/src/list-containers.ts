/** What `cmt ps` shows, read without all that a fleet can do besides: it is to be quick with ten thousand containers. */
import { connectProducer, hostsWithContainers, openSagas, parseRedisUrl } from '@cmt/queue/look';
import { pino } from 'pino';
import { containersOf, type FleetContainer } from './present/containers.ts';
import { clientConfig, redisOf } from './redis-of.ts';
import type { CommonFlags } from './verb.ts';

/** Every announced container, and the migration it is in. @throws {CmtError} CONFIG_INVALID, REDIS_UNREACHABLE, REDIS_MISSING */
export async function listContainers(flags: CommonFlags): Promise<FleetContainer[]> {
  const config = await clientConfig(flags);
  const logger = pino({ level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
  const redis = await connectProducer(parseRedisUrl(await redisOf(config)), logger);
  try {
    const [hosts, reports] = await Promise.all([hostsWithContainers(redis), openSagas(redis)]);
    return containersOf(hosts, reports);
  } finally {
    redis.disconnect();
  }
}
