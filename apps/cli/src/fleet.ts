/** A verb's way to the fleet: configuration, Redis (the private one when none is configured), and the queue behind it. */
import {
  ClientConfig,
  CmtError,
  type Failure,
  keys,
  MigrationEvent,
  type MigrationReport,
  type MigrationRequest,
} from '@cmt/contracts';
import {
  alarmsOf,
  connectProducer,
  coordinatorAlive,
  follow,
  hosts,
  listSagas,
  loadKeyPair,
  newestEvent,
  parseRedisUrl,
  readSaga,
  refusalOf,
  requestCancel,
  requestResolve,
  startTraces,
  submitMigration,
  untilTaken,
  waitingForWord,
  type EventId,
  type RedisConnection,
  type SeenHost,
  type Submitted,
} from '@cmt/queue';
import { pino } from 'pino';
import { mergeConfig, readConfigFile } from './config.ts';
import { userStateDir } from './embedded/state-dir.ts';
import type { Standstill } from './present/standstill.ts';
import type { CommonFlags } from './verb.ts';

export class Fleet {
  readonly #config: ClientConfig;
  readonly #redis: RedisConnection;

  private constructor(config: ClientConfig, redis: RedisConnection) {
    this.#config = config;
    this.#redis = redis;
  }

  /** @throws {CmtError} CONFIG_INVALID, REDIS_UNREACHABLE, REDIS_MISSING */
  static async open(flags: CommonFlags): Promise<Fleet> {
    const config = await clientConfig(flags);
    const logger = pino({ level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
    const url = config.redis ?? (await startEmbedded(config.stateDir));
    return new Fleet(config, await connectProducer(parseRedisUrl(url), logger));
  }

  hosts(): Promise<SeenHost[]> {
    return hosts(this.#redis);
  }

  /** Newest first. */
  migrations(limit: number): Promise<MigrationReport[]> {
    return listSagas(this.#redis, limit);
  }

  /** @throws {CmtError} MIGRATION_UNKNOWN */
  async migration(id: string): Promise<MigrationReport> {
    const saga = await readSaga(this.#redis, id);
    if (saga === null) throw new CmtError('MIGRATION_UNKNOWN', { migration: id });
    return saga.report;
  }

  /** False when this Redis has never heard of it, or has forgotten it. */
  async knows(id: string): Promise<boolean> {
    return (await readSaga(this.#redis, id)) !== null;
  }

  /** @throws {CmtError} REQUEST_INVALID when the id belongs to a migration that was asked for in other words. */
  async submit(request: MigrationRequest): Promise<Submitted> {
    const submitted = await submitMigration(this.#redis, request, await loadKeyPair(this.#config.stateDir));
    const { isNew, report } = submitted;
    // What was rebuilt from the hosts' journals has lost the words it was asked for in.
    if (isNew || report.rebuilt !== undefined || sameWish(report.request, request)) return submitted;
    const problem = `--id: ${request.id} is another migration (\`cmt status ${request.id}\`)`;
    throw new CmtError('REQUEST_INVALID', { problem });
  }

  /** @throws {CmtError} MIGRATION_UNKNOWN, TOO_LATE_TO_CANCEL */
  cancel(id: string, reason: string): Promise<void> {
    return requestCancel(this.#redis, id, reason);
  }

  follow(id: string, signal: AbortSignal, from: boolean | EventId = true): ReturnType<typeof follow> {
    return follow(this.#redis, id, from, signal);
  }

  /** What is known about a migration that waits for an operator's word about `fenced`. @throws {CmtError} NOT_STUCK, NOT_A_SIDE, MIGRATION_UNKNOWN */
  async standstill(id: string, fenced: string): Promise<Standstill> {
    const { report, version } = await waitingForWord(this.#redis, id, fenced);
    const [known, decision] = await Promise.all([
      this.hosts(),
      this.#redis.get(keys.decision(id, report.epoch)),
    ]);
    const seen = (name: string) => known.find(({ record }) => record.facts.name === name) ?? null;
    return { report, version, decision, fenced, source: seen(report.from), target: seen(report.to) };
  }

  /** Says that a host is fenced. @returns the place in the events after which the answer comes */
  async resolve({ report: { id }, fenced, version }: Standstill): Promise<EventId> {
    const since = await newestEvent(this.#redis, id);
    await requestResolve(this.#redis, { id, fenced, version }, await loadKeyPair(this.#config.stateDir));
    return since;
  }

  /** Waits until a coordinator has moved on from there, or has refused to. */
  untilTaken({ report, version }: Standstill, signal: AbortSignal): Promise<void> {
    return untilTaken(this.#redis, { id: report.id, version }, signal);
  }

  refusalOf(id: string, signal: AbortSignal): Promise<Failure | null> {
    return refusalOf(this.#redis, id, signal);
  }

  /** What must not be and is, by host. */
  alarms(id: string): Promise<{ readonly host: string; readonly text: string }[]> {
    return alarmsOf(this.#redis, id);
  }

  /** What was told so far. */
  async events(id: string): Promise<MigrationEvent[]> {
    const entries = await this.#redis.xrange(keys.events(id), '-', '+');
    return entries.map(([, fields]) => MigrationEvent.parse(JSON.parse(fields[1] ?? '')));
  }

  /** True when a coordinator takes migrations. Starts the embedded one again if it has died. */
  async hasCoordinator(): Promise<boolean> {
    const isEmbedded = this.#config.redis === undefined;
    const alive = await coordinatorAlive(this.#redis).catch((error: unknown) => {
      if (isEmbedded) return false;
      throw error;
    });
    if (!alive && isEmbedded) await startEmbedded(this.#config.stateDir);
    return alive;
  }

  close(): void {
    this.#redis.disconnect();
  }
}

export async function clientConfig(flags: CommonFlags): Promise<ClientConfig> {
  const file = await readConfigFile(flags.config, process.env);
  const defaults = { stateDir: userStateDir(process.env), logLevel: 'silent' };
  return mergeConfig(ClientConfig, { flags: { ...flags }, env: process.env, file, defaults });
}

async function startEmbedded(stateDir: string): Promise<string> {
  const { ensureEmbedded } = await import('./embedded/embedded.ts');
  return ensureEmbedded(stateDir);
}

/** Two requests for one migration differ in the time they were made at, and in nothing else. */
const sameWish = (one: MigrationRequest, other: MigrationRequest): boolean =>
  JSON.stringify({ ...one, requestedAt: 0 }) === JSON.stringify({ ...other, requestedAt: 0 });

/** Opens the fleet for as long as `work` takes. */
export async function withFleet<T>(flags: CommonFlags, work: (fleet: Fleet) => Promise<T>): Promise<T> {
  const traces = await startTraces('cmt');
  try {
    const fleet = await Fleet.open(flags);
    return await work(fleet).finally(() => fleet.close());
  } finally {
    await traces.close();
  }
}
