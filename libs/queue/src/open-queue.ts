/**
 * BullMQ's queues on a connection of ours. They share what BullMQ keeps of a connection: a coordinator has a queue for each of its hosts,
 * and each alone would ask Redis for its version, and listen to the connection for itself.
 */
import { PREFIX } from '@cmt/contracts';
import { Queue, QueueKeys, RedisConnection, RedisQueueBackend, type QueueOptions } from 'bullmq';
import type { Redis } from 'ioredis';

const connections = new WeakMap<Redis, RedisConnection>();
const queueKeys = new QueueKeys(PREFIX);

/** BullMQ writes a stream of events for each queue, 10,000 long unless told otherwise, every result once more in it; nobody reads it here. */
const streams = { events: { maxLen: 0 } };

/** A queue on the caller's connection; it has nothing of its own that would have to be closed. */
export function openQueue(redis: Redis, name: string, options: Partial<QueueOptions> = {}): Queue {
  const connection = connections.get(redis) ?? openShared(redis);
  const settings = { connection: redis, prefix: PREFIX, skipVersionCheck: true, streams, ...options };
  const toKey = (type: string): string => queueKeys.toKey(name, type);
  // As BullMQ's own FlowProducer does it for the many queues of a flow.
  const backend = () =>
    new RedisQueueBackend(connection, name, queueKeys.getKeys(name), toKey, settings, undefined, false);
  // What is wrong with the connection, its own listeners tell.
  return new Queue(name, settings, backend).on('error', () => undefined);
}

function openShared(redis: Redis): RedisConnection {
  const connection = new RedisConnection(redis, { shared: true, blocking: false, skipVersionCheck: true });
  connection.on('error', () => undefined);
  connections.set(redis, connection);
  // One that did not come up never will.
  connection.client.catch(() => connections.delete(redis));
  return connection;
}
