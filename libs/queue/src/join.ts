/** What a worker and a coordinator make sure of before they begin. */
import { CmtError, type HostName } from '@cmt/contracts';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { connectProducer, type RedisAddress } from './connection.ts';
import { refuseUnfit } from './fit-redis.ts';
import { hosts } from './registry.ts';

export interface Joining {
  /** This machine, as errors name it. */
  readonly name: string;
  /** Of a worker: the key that it announces. */
  readonly publicKey?: string;
}

/**
 * Looks at Redis, and at who is there already. A Redis that is away is no reason to refuse: it will be waited for.
 * @throws {CmtError} REDIS_REFUSED, REDIS_FORGETS, CLOCK_OFF; for a worker also HOST_NAME_TAKEN
 */
export async function lookBeforeJoining(
  address: RedisAddress,
  { name, publicKey }: Joining,
  logger: Logger,
): Promise<void> {
  try {
    const redis = await connectProducer(address, logger);
    try {
      await refuseUnfit(redis, address.shown, name);
      if (publicKey !== undefined) await refuseTakenName(redis, name, publicKey);
    } finally {
      redis.disconnect();
    }
  } catch (error) {
    if (!(error instanceof CmtError) || error.failure.code !== 'REDIS_UNREACHABLE') throw error;
    logger.warn({ reason: error.message }, 'Redis is away; it is waited for');
  }
}

/** A machine that was set up anew may take its old name once the old one has fallen silent. */
async function refuseTakenName(redis: Redis, name: HostName, publicKey: string): Promise<void> {
  const known = (await hosts(redis)).find((seen) => seen.name === name);
  if (known?.state !== 'online') return;
  const { endpoint } = known.record;
  if (endpoint.publicKey !== publicKey)
    throw new CmtError('HOST_NAME_TAKEN', { host: name, address: endpoint.address });
}
