/** What `cmt ps` shows, read without all that a fleet can do besides: it is to be quick with ten thousand containers. */
import { hostsWithContainers, openSagas, type Unreadable } from '@cmt/queue/look';
import { connect } from './connect.ts';
import { containersOf, type FleetContainer } from './present/containers.ts';
import type { CommonFlags } from './verb.ts';

/**
 * Every announced container, and the migration it is in.
 * @param unreadable told of hosts that are left out
 * @throws {CmtError} CONFIG_INVALID, REDIS_UNREACHABLE, REDIS_MISSING
 */
export async function listContainers(flags: CommonFlags, unreadable: Unreadable): Promise<FleetContainer[]> {
  const { redis } = await connect(flags);
  try {
    const [hosts, reports] = await Promise.all([hostsWithContainers(redis, unreadable), openSagas(redis)]);
    return containersOf(hosts, reports);
  } finally {
    redis.disconnect();
  }
}
