export type { Redis as RedisConnection } from 'ioredis';
export {
  connectProducer,
  openConnection,
  parseRedisUrl,
  type ConnectionRole,
  type RedisAddress,
} from './connection.ts';
export { keepsEveryWrite, redisFacts, type RedisFacts } from './redis-facts.ts';
export { clockOffset, diagnoseRedis } from './fit-redis.ts';
export { askDoctor } from './doctor.ts';
export { forgetHost, setHostUser, userOf } from './host-user.ts';
export { lookBeforeJoining, type Joining } from './join.ts';
export { loadKeyPair, type KeyPair } from './key-pair.ts';
export { trustIn, type Trust } from './trust.ts';
export { openSealed, seal, type Opener } from './seal.ts';
export { readTuning, repeatTuning, requestTuning } from './tune.ts';
export { flowsUnderWay, tellFlowsChanged, type FlowUnderWay } from './flows.ts';
export { coordinatorAlive, requestCancel, submitMigration, submitUnder, type Submitted } from './publish.ts';
export {
  consumeMigrations,
  type Consumer,
  type CoordinatorOptions,
  type MigrationHandler,
} from './consume-migrations.ts';
export { consumeOrders, type OrdersOptions, type WorkStarter } from './consume-orders.ts';
export { addSchedule, removeSchedule, runSchedule, schedules, type KnownSchedule } from './schedules.ts';
export type { Origin } from './open-migration.ts';
export { Lease, type LegDraft, type LegName } from './lease.ts';
export type { DispatchLimits } from './leg-watch.ts';
export {
  consumeLegs,
  type LegConsumer,
  type LegLease,
  type LegRunner,
  type WorkerOptions,
} from './consume-legs.ts';
export { legId } from './leg-job.ts';
export { Fenced, LOCK_TIMING, Postponed, ShuttingDown, type LockTiming } from './ownership.ts';
export { knownSaga, listSagas, openSagas, readSaga, statusOf, type StoredSaga } from './store.ts';
export {
  givePlacesBack,
  movingContainers,
  takePlaces,
  trafficOf,
  type LimitedPlace,
  type PlacesAnswer,
  type PlacesAsked,
  type Traffic,
} from './places.ts';
export {
  consumeDrains,
  drainOf,
  drains,
  openHost,
  submitOrder,
  type DrainHandler,
  type DrainLease,
  type DrainsOptions,
} from './drains.ts';
export { drainedHosts, isDrained, storedLimits, storeLimits } from './settings.ts';
export type { Unreadable } from './json-text.ts';
export { journalsOf, type JournalsOfMigration } from './recovery.ts';
export { DecisionRecord } from './decisions.ts';
export { eventsOf, follow, LegEvents, newestEvent, tell, type EventId } from './events.ts';
export {
  depthOf,
  eventsAfter,
  marksOf,
  openHostView,
  openMigrationsView,
  recentMigrations,
  reportsOf,
  type BoardQueue,
  type Mark,
  type ToldEvent,
} from './overview.ts';
export {
  BLACKOUT_BOUNDS_MS,
  DURATION_BOUNDS_MS,
  readTally,
  STEP_BOUNDS_MS,
  type TallyCount,
} from './tally.ts';
export { isTraced, span, startTraces } from './traces.ts';
export { alarmsOf, raiseAlarm } from './alarms.ts';
export { refusalOf, requestResolve, untilTaken, waitingForWord } from './resolve.ts';
export { announce, announceOnce, hosts, hostsNamed, type Announcer, type SeenHost } from './registry.ts';
