/** A verb's connection to its Redis. Loads nothing but that: `cmt ps` is to be quick. */
import type { ClientConfig } from '@cmt/contracts';
import { connectProducer, parseRedisUrl, type RedisConnection } from '@cmt/queue/look';
import { pino } from 'pino';
import { clientConfig, redisOf } from './redis-of.ts';
import type { CommonFlags } from './verb.ts';

/** Configuration, and the Redis that it names. @throws {CmtError} CONFIG_INVALID, REDIS_UNREACHABLE, REDIS_REFUSED, REDIS_MISSING */
export async function connect(
  flags: CommonFlags,
): Promise<{ readonly config: ClientConfig; readonly redis: RedisConnection }> {
  const config = await clientConfig(flags);
  const logger = pino({ level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
  return { config, redis: await connectProducer(parseRedisUrl(await redisOf(config)), logger) };
}
