/**
 * A Node program's way to a fleet, and the command line's: asks for migrations, follows them, says how everything stands.
 * Every method may reject with CmtError REDIS_UNREACHABLE; what else is said at each.
 */
import {
  CmtError,
  isEnd,
  MigrationRequest,
  UNPLACED,
  type Diagnosis,
  type DrainReport,
  type FleetOrder,
  type MigrationEvent,
  type MigrationReport,
  type Tuning,
  type Schedule,
  type ScheduleRun,
} from '@cmt/contracts';
import { beginDrain, candidatesOf, parseLimits, type FleetFacts } from '@cmt/fleet';
import {
  addSchedule,
  alarmsOf,
  connectProducer,
  coordinatorAlive,
  drainedHosts,
  drainOf,
  drains,
  eventsOf,
  follow,
  forgetHost,
  hosts,
  knownSaga,
  listSagas,
  loadKeyPair,
  openHost,
  openSagas,
  parseRedisUrl,
  removeSchedule,
  requestCancel,
  requestTuning,
  runSchedule,
  schedules,
  setHostUser,
  statusOf,
  storedLimits,
  storeLimits,
  submitMigration,
  submitOrder,
  trafficOf,
  type EventId,
  type KeyPair,
  type KnownSchedule,
  type RedisConnection,
  type SeenHost,
  type Submitted,
  type Unreadable,
} from '@cmt/queue';
import { randomInt } from 'node:crypto';
import { diagnose } from './diagnose.ts';
import { pino, type Logger } from 'pino';
import type { z } from 'zod';

export interface ClientOptions {
  /** `redis://[:password@]host:port[/db]`, `rediss://…` or `unix:///path`. */
  readonly redis: string;
  /** Directory with this program's key (`keys/cmt.key`), made at the first use; coordinators have to trust `keys/cmt.pub`. */
  readonly stateDir: string;
  readonly logger?: Logger;
}

type Typed = z.input<typeof MigrationRequest>;

/** A migration as it is asked for: everything but source, target, and container or bundle has a default. */
export type MigrationWish = Omit<Typed, 'v' | 'id' | 'requestedAt' | 'options'> &
  Partial<Pick<Typed, 'id' | 'options'>>;

export interface FollowOptions {
  /** True (the default): from its beginning; false: only what comes from now on; or from a place in the stream. */
  readonly from?: boolean | EventId;
  /** Ends the following, never the migration. */
  readonly signal?: AbortSignal;
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz234567';

/** A name that no other migration has. */
export const newMigrationId = (): string =>
  `m-${Array.from({ length: 10 }, () => LETTERS.charAt(randomInt(LETTERS.length))).join('')}`;

/** Milliseconds that a coordinator gets to begin what was asked for at once. */
const ANSWER_MS = 20_000;

export class CmtClient {
  readonly #redis: RedisConnection;
  readonly #stateDir: string;
  #keys: Promise<KeyPair> | undefined;

  protected constructor(redis: RedisConnection, stateDir: string) {
    this.#redis = redis;
    this.#stateDir = stateDir;
  }

  /** @throws {CmtError} REDIS_UNREACHABLE within about five seconds */
  static async connect({ redis, stateDir, logger }: ClientOptions): Promise<CmtClient> {
    const connection = await connectProducer(parseRedisUrl(redis), logger ?? pino({ level: 'silent' }));
    return new CmtClient(connection, stateDir);
  }

  /**
   * Asks for a migration and returns at once. The same id is one migration, however often it is asked for.
   * @throws {CmtError} REQUEST_INVALID, also when the id belongs to a migration that was asked for in other words
   */
  async enqueue(wish: MigrationWish | MigrationRequest): Promise<Submitted> {
    const request = requestFrom(wish);
    const { queue } = parseLimits(await this.limits());
    const signingKeys = await this.#signingKeys();
    const submitted = await submitMigration(this.#redis, request, signingKeys, queue);
    const { isNew, report } = submitted;
    // What was rebuilt from the hosts' journals has lost the words it was asked for in.
    if (isNew || report.rebuilt !== undefined || sameWish(report.request, request)) return submitted;
    const problem = `the id ${request.id} is that of another migration (\`cmt status ${request.id}\`)`;
    throw new CmtError('REQUEST_INVALID', { problem });
  }

  /** Events as they come, up to the one that tells the end. */
  follow(
    id: string,
    { from = true, signal }: FollowOptions = {},
  ): AsyncGenerator<MigrationEvent, void, undefined> {
    return follow(this.#redis, id, from, signal ?? new AbortController().signal);
  }

  /** The migration as it ended. @throws {CmtError} MIGRATION_UNKNOWN, MIGRATION_UNREADABLE; the signal's reason */
  async ended(id: string, signal?: AbortSignal): Promise<MigrationReport> {
    for (;;) {
      const report = await this.status(id);
      if (isEnd(report.state)) return report;
      const events = this.follow(id, signal === undefined ? {} : { signal });
      while ((await events.next()).done !== true) continue;
      signal?.throwIfAborted();
    }
  }

  /** Asks for its end: the container stays on the source. @throws {CmtError} MIGRATION_UNKNOWN, TOO_LATE_TO_CANCEL */
  cancel(id: string, reason: string): Promise<void> {
    return requestCancel(this.#redis, id, reason);
  }

  /** Changes what it may take, or aims for, from now on. @throws {CmtError} MIGRATION_UNKNOWN, TOO_LATE_TO_TUNE */
  async tune(id: string, tuning: Tuning): Promise<void> {
    await requestTuning(this.#redis, { id, tuning }, await loadKeyPair(this.#stateDir));
  }

  /** How it stands. @throws {CmtError} MIGRATION_UNKNOWN, MIGRATION_UNREADABLE */
  async status(id: string): Promise<MigrationReport> {
    return (await knownSaga(this.#redis, id)).report;
  }

  /** False when this Redis has never heard of it, or has forgotten it. */
  async knows(id: string): Promise<boolean> {
    return (await statusOf(this.#redis, id)) !== null;
  }

  /** The newest migrations, newest first. @param unreadable told of each that is left out */
  migrations(limit: number, unreadable?: Unreadable): Promise<MigrationReport[]> {
    return listSagas(this.#redis, limit, unreadable);
  }

  /** What was told about it so far. */
  events(id: string): Promise<MigrationEvent[]> {
    return eventsOf(this.#redis, id);
  }

  /** What must not be and is, by host. */
  alarms(id: string): Promise<{ readonly host: string; readonly text: string }[]> {
    return alarmsOf(this.#redis, id);
  }

  /** All hosts that have announced themselves, with their containers. @param unreadable told of each that is left out */
  hosts(unreadable?: Unreadable): Promise<SeenHost[]> {
    return hosts(this.#redis, unreadable);
  }

  /** What placing knows: hosts, what is under way with them, which are drained, and the limits. @param unreadable as of `hosts` */
  async facts(unreadable?: Unreadable): Promise<FleetFacts & { readonly hosts: readonly SeenHost[] }> {
    const seen = await this.hosts(unreadable);
    const names = seen.map(({ name }) => name);
    const [drained, traffic, stored] = await Promise.all([
      drainedHosts(this.#redis),
      trafficOf(this.#redis, names),
      storedLimits(this.#redis),
    ]);
    return { hosts: seen, drained, traffic, limits: parseLimits(stored) };
  }

  async candidates(): Promise<ReturnType<typeof candidatesOf>> {
    return candidatesOf(await this.facts());
  }

  /** Those that have not ended. */
  openMigrations(): Promise<MigrationReport[]> {
    return openSagas(this.#redis);
  }

  limits(): Promise<Record<string, string>> {
    return storedLimits(this.#redis);
  }

  /** Null takes one back to its default. */
  setLimits(limits: Readonly<Record<string, number | null>>): Promise<void> {
    return storeLimits(this.#redis, limits);
  }

  /** The newest drain, or way back, of every host. */
  drains(): Promise<DrainReport[]> {
    return drains(this.#redis);
  }

  drainOf(host: string): Promise<DrainReport | null> {
    return drainOf(this.#redis, host);
  }

  /** Asks for a host to be emptied or filled again. @returns the one under way where there is one */
  async order(order: FleetOrder): Promise<DrainReport> {
    const signingKeys = await this.#signingKeys();
    return submitOrder(this.#redis, order, beginDrain(order, Date.now()), signingKeys);
  }

  /** @throws {CmtError} NOT_DRAINED */
  openHost(host: string): Promise<void> {
    return openHost(this.#redis, host);
  }

  /** Whether any coordinator takes migrations. */
  hasCoordinator(): Promise<boolean> {
    return coordinatorAlive(this.#redis);
  }

  /** @returns false when there is the very same one already. @throws {CmtError} SCHEDULE_INVALID, SCHEDULE_EXISTS unless `replace` */
  async addSchedule(schedule: Schedule, replace: boolean): Promise<boolean> {
    return addSchedule(this.#redis, schedule, await this.#signingKeys(), replace);
  }

  /** All schedules, the next that is due first. @param unreadable told of each that is left out */
  schedules(unreadable?: Unreadable): Promise<KnownSchedule[]> {
    return schedules(this.#redis, unreadable);
  }

  /** @throws {CmtError} SCHEDULE_UNKNOWN */
  async removeSchedule(name: string): Promise<void> {
    await removeSchedule(this.#redis, name, await this.#signingKeys());
  }

  /** One run now, begun when this returns. @throws {CmtError} SCHEDULE_UNKNOWN, COORDINATOR_MISSING, and what it was refused with */
  async runSchedule(name: string): Promise<ScheduleRun> {
    const signal = AbortSignal.timeout(ANSWER_MS);
    return runSchedule(this.#redis, name, await this.#signingKeys(), signal);
  }

  /** A user of Redis for a host. @returns false when Redis forgets it at its next start. @throws {CmtError} REDIS_REFUSED */
  setHostUser(host: string, password: string): Promise<boolean> {
    return setHostUser(this.#redis, host, password);
  }

  /** Takes a host's user and all that Redis holds of it away. @throws {CmtError} REDIS_REFUSED */
  forgetHost(host: string): Promise<void> {
    return forgetHost(this.#redis, host);
  }

  /** How Redis, coordinator and hosts are; `host` for one host alone. @throws {CmtError} HOST_UNKNOWN */
  async diagnose(host?: string): Promise<Diagnosis[]> {
    return diagnose(this.#redis, await this.#signingKeys(), host);
  }

  /** Read at the first use. */
  #signingKeys(): Promise<KeyPair> {
    this.#keys ??= loadKeyPair(this.#stateDir);
    return this.#keys;
  }

  close(): void {
    this.#redis.disconnect();
  }
}

/** @throws {CmtError} REQUEST_INVALID */
function requestFrom(wish: MigrationWish | MigrationRequest): MigrationRequest {
  const defaults = { v: 1, id: newMigrationId(), requestedAt: Date.now(), options: {} };
  const parsed = MigrationRequest.safeParse({ ...defaults, ...wish });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`);
  throw new CmtError('REQUEST_INVALID', { problem: problems.join('; ') });
}

/** Two requests for one migration differ in the time they were made at, and in nothing else. */
const sameWish = (one: MigrationRequest, other: MigrationRequest): boolean =>
  JSON.stringify(wishOf(one)) === JSON.stringify(wishOf(other));

/** A target that was left open is no part of the wish once it is found. */
const wishOf = (request: MigrationRequest): MigrationRequest => ({
  ...request,
  requestedAt: 0,
  ...(request.place === undefined ? {} : { target: UNPLACED }),
});
