/** For who only looks, and wants to be quick: nothing from here loads BullMQ. */
export type { Redis as RedisConnection } from 'ioredis';
export { connectProducer, parseRedisUrl } from './connection.ts';
export type { Unreadable } from './json-text.ts';
export { hostsWithContainers, type ContainersOfHost } from './registry.ts';
export { openSagas } from './store.ts';
