/** What operators have set for the whole fleet: limits, and hosts that take no new container. */
import { keys, type HostName } from '@cmt/contracts';
import type { Redis } from 'ioredis';
import { reaching } from './connection.ts';
import { tellFlowsChanged } from './flows.ts';

/** Limits as they were set, by name; what is not there has its default. Read anew for every migration; those of links count for all under way. */
export const storedLimits = (redis: Redis): Promise<Record<string, string>> =>
  reaching(redis, redis.hgetall(keys.limits));

/** Sets limits; null takes one back to its default. */
export async function storeLimits(
  redis: Redis,
  limits: Readonly<Record<string, number | null>>,
): Promise<void> {
  const pipeline = redis.pipeline();
  for (const [name, value] of Object.entries(limits)) {
    if (value === null) pipeline.hdel(keys.limits, name);
    else pipeline.hset(keys.limits, name, value);
  }
  await reaching(redis, pipeline.exec());
  await tellFlowsChanged(redis);
}

/** Whether a host takes no new container. */
export const isDrained = async (redis: Redis, host: HostName): Promise<boolean> =>
  (await reaching(redis, redis.hexists(keys.drained, host))) === 1;

/** Hosts that take no new container, each with the drain that closed it. */
export const drainedHosts = (redis: Redis): Promise<Record<HostName, string>> =>
  reaching(redis, redis.hgetall(keys.drained));
