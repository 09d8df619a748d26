/** For who only looks, and wants to be quick: nothing from here loads BullMQ. */
export { connectProducer, parseRedisUrl } from './connection.ts';
export { hostsWithContainers, type ContainersOfHost } from './registry.ts';
export { openSagas } from './store.ts';
