/** A verb's way to the fleet: configuration, Redis (the private one when none is configured), and the queue behind it. */
import { CmtClient, type SeenHost, type Unreadable } from '@cmt/client';
import { CmtError, keys, type ClientConfig, type Failure, type HostName } from '@cmt/contracts';
import {
  loadKeyPair,
  newestEvent,
  refusalOf,
  requestResolve,
  startTraces,
  untilTaken,
  waitingForWord,
  type EventId,
  type RedisConnection,
} from '@cmt/queue';
import { connect } from './connect.ts';
import type { Standstill } from './present/standstill.ts';
import { startEmbedded } from './redis-of.ts';
import type { AgentlessNames, LocatedRequest } from './request.ts';
import type { CommonFlags } from './verb.ts';

/** A client that reads the command line's configuration, and brings its own Redis and coordinator when none is configured. */
export class Fleet extends CmtClient {
  readonly #config: ClientConfig;
  readonly #redis: RedisConnection;
  /** Hosts whose announcement cannot be read, and why. */
  readonly #unreadable = new Map<HostName, string>();

  private constructor(config: ClientConfig, redis: RedisConnection) {
    super(redis, config.stateDir);
    this.#config = config;
    this.#redis = redis;
  }

  /** @throws {CmtError} CONFIG_INVALID, REDIS_UNREACHABLE, REDIS_MISSING */
  static async open(flags: CommonFlags): Promise<Fleet> {
    const { config, redis } = await connect(flags);
    return new Fleet(config, redis);
  }

  override hosts(unreadable?: Unreadable): Promise<SeenHost[]> {
    return super.hosts((host, why) => {
      this.#unreadable.set(host, why);
      unreadable?.(host, why);
    });
  }

  /** The error as it is told: a host that is not found because its announcement cannot be read is not unknown. */
  told(error: unknown): unknown {
    if (!(error instanceof CmtError) || error.failure.code !== 'HOST_UNKNOWN') return error;
    const host = String(error.failure.details.host);
    const problem = this.#unreadable.get(host);
    return problem === undefined ? error : new CmtError('HOST_UNREADABLE', { host, problem });
  }

  /**
   * Workers for those ends that are reached over ssh; none where a Redis is configured: a fleet has its own.
   * @throws {CmtError} SSH_*, SUDO_REFUSED, REMOTE_*, BUNDLE_INVALID, SAME_HOST, REQUEST_INVALID
   */
  async reach(parsed: LocatedRequest): Promise<AgentlessNames> {
    if (this.#config.redis !== undefined) return {};
    const { reachEnds } = await import('./agentless/reach.ts');
    return await reachEnds(this.#config.stateDir, parsed, () => this.hosts());
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

  /** True when a coordinator takes migrations. Starts the embedded one again if it has died. */
  override async hasCoordinator(): Promise<boolean> {
    const isEmbedded = this.#config.redis === undefined;
    const alive = await super.hasCoordinator().catch((error: unknown) => {
      if (isEmbedded) return false;
      throw error;
    });
    if (!alive && isEmbedded) await startEmbedded(this.#config.stateDir);
    return alive;
  }
}

/** Opens the fleet for as long as `work` takes. */
export async function withFleet<T>(flags: CommonFlags, work: (fleet: Fleet) => Promise<T>): Promise<T> {
  const traces = await startTraces('cmt');
  try {
    const fleet = await Fleet.open(flags);
    try {
      return await work(fleet);
    } catch (error) {
      throw fleet.told(error);
    } finally {
      fleet.close();
    }
  } finally {
    await traces.close();
  }
}
