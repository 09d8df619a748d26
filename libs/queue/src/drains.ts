/**
 * Orders about a whole host: kept as jobs of a queue of their own, and a report that everybody can read.
 *
 * INVARIANTS
 * - A host has one order that is not over, at most; the step that registers an order sees to it. It also closes or opens the host.
 * - A report is written only by who holds the lock of its job, and only while it is the newest of its host.
 * - A report that cannot be read is nobody's: another order takes its place, or whoever works on one mends it.
 * - Nothing is done for an order that was not signed by somebody trusted, that is a copy, is over, or too old to be told from a replay.
 */
import {
  CmtError,
  DrainReport,
  FLEET_QUEUE,
  FleetOrder,
  isDrainOver,
  keys,
  PREFIX,
  Sealed,
  type Failure,
  type HostName,
} from '@cmt/contracts';
import type { Job } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { z } from 'zod';
import { obeying } from './bounded.ts';
import { reaching } from './connection.ts';
import type { Consumer } from './consume-migrations.ts';
import { FencedWorker } from './fenced-worker.ts';
import { ORDER_FRESH_MS, staleness } from './freshness.ts';
import { jsonOrText, jsonText } from './json-text.ts';
import type { KeyPair } from './key-pair.ts';
import { Ledger } from './ledger.ts';
import { openQueue } from './open-queue.ts';
import { Fenced, type LockTiming, type Ownership } from './ownership.ts';
import { runScript } from './script.ts';
import { openSealed, seal } from './seal.ts';
import { drainedHosts } from './settings.ts';
import type { Trust } from './trust.ts';

const jobIdOf = (id: string): string => `order_${id}`;

const REGISTER = `
local before = redis.call('HGET', KEYS[1], ARGV[1])
local read, report = pcall(cjson.decode, before or '')
if read and type(report) == 'table' and (report.state == 'queued' or report.state == 'running') then return before end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[4])
if ARGV[5] == 'drain' then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
else
  redis.call('HDEL', KEYS[2], ARGV[1])
end
return ARGV[3]
`;

/**
 * Asks for an order to be carried out. When its host has one that is not over, nothing new is asked for, and that one is returned.
 * @throws {CmtError} REQUEST_INVALID when it is too large; DRAIN_UNDER_WAY for one that a newer cmt has begun
 */
export async function submitOrder(
  redis: Redis,
  order: FleetOrder,
  first: DrainReport,
  signingKeys: KeyPair,
): Promise<DrainReport> {
  const sealed = JSON.stringify(seal(FLEET_QUEUE, order, signingKeys));
  const scriptKeys = [keys.drains, keys.drained, keys.orders];
  const args = [order.host, order.id, JSON.stringify(first), sealed, order.kind];
  const stands = parseReport(await reaching(redis, runScript(redis, REGISTER, scriptKeys, args)));
  if (stands === null) throw new CmtError('DRAIN_UNDER_WAY', { host: order.host, id: 'in another format' });
  // Whoever registered it may have died before queueing it. BullMQ keeps a job that is there.
  await reaching(redis, enqueue(redis, stands.id));
  return stands;
}

async function enqueue(redis: Redis, id: string): Promise<void> {
  const sealed = await redis.hget(keys.orders, id);
  if (sealed === null) return;
  const options = { attempts: 1_000_000, backoff: { type: 'fixed', delay: 1000 }, jobId: jobIdOf(id) };
  const kept = { removeOnComplete: { age: 7 * 24 * 3600, count: 1000 } };
  // Who takes the job judges it, and refuses what is damaged.
  await openQueue(redis, FLEET_QUEUE).add('order', jsonOrText(sealed), { ...options, ...kept });
}

/** The newest report of every host that had an order; those that cannot be read are left out. */
export async function drains(redis: Redis): Promise<DrainReport[]> {
  const reports = Object.values(await reaching(redis, redis.hgetall(keys.drains)));
  return reports.map(parseReport).filter((report): report is DrainReport => report !== null);
}

/** The newest report about one host, or null where there is none, or none that can be read. */
export const drainOf = async (redis: Redis, host: HostName): Promise<DrainReport | null> =>
  parseReport(await reaching(redis, redis.hget(keys.drains, host)));

/** Lets a host take containers again; what its drain has begun is brought to its end. @throws {CmtError} NOT_DRAINED */
export async function openHost(redis: Redis, host: HostName): Promise<void> {
  if ((await reaching(redis, redis.hdel(keys.drained, host))) === 0)
    throw new CmtError('NOT_DRAINED', { host });
}

const Report = jsonText(DrainReport);
const parseReport = (text: unknown): DrainReport | null => Report.safeParse(text).data ?? null;

/** One coordinator's right to one order. */
export interface DrainLease {
  readonly order: FleetOrder;
  /** The order as it was signed: it stands for each of its migrations. */
  readonly sealed: Sealed;
  /** Aborts when this process may no longer work on it. */
  readonly signal: AbortSignal;
  /** The report as it was stored last. */
  load(): Promise<DrainReport | null>;
  /** @throws {Fenced} when the order belongs to somebody else, or another one to its host */
  save(report: DrainReport): Promise<void>;
}

/** Works on an order until it is over; a rejection gives it back to the queue. */
export type DrainHandler = (lease: DrainLease) => Promise<void>;

export interface DrainsOptions {
  /** Of role `worker`. Closed by the caller, after `close`. */
  readonly redis: Redis;
  readonly concurrency: number;
  readonly trust: Trust;
  readonly name: string;
  readonly logger: Logger;
  /** Directory of its own: what is over. */
  readonly ledgerDir: string;
  readonly timing?: LockTiming;
}

const OverNote = z.object({ endedAt: z.number() });

/** Takes orders from the queue until it is closed. */
export function consumeDrains(options: DrainsOptions, handler: DrainHandler): Consumer {
  const over = new Ledger(options.ledgerDir, OverNote);
  const worker = new FencedWorker({ ...options, queueName: FLEET_QUEUE }, async (job, ownership, token) => {
    const lease = await openOrder(options, over, { job, ownership, token });
    if (lease === null) return {};
    await handler(lease);
    await over.record(lease.order.id, { endedAt: Date.now() });
    return {};
  });
  return {
    close: async (graceMs) => {
      await worker.close(graceMs);
      await over.close();
    },
  };
}

interface Held {
  readonly job: Job<unknown>;
  readonly ownership: Ownership;
  readonly token: string;
}

/** Null for what is not to be obeyed, or is over. */
async function openOrder(
  { redis, trust, name, logger }: DrainsOptions,
  over: Ledger<z.infer<typeof OverNote>>,
  { job, ownership, token }: Held,
): Promise<DrainLease | null> {
  try {
    const sealed = Sealed.parse(job.data);
    const order = await openSealed(FLEET_QUEUE, sealed, FleetOrder, { trust, host: name });
    const lease = leaseOf({ redis, order, sealed, token, ownership });
    const forged = (problem: string) =>
      new CmtError('REQUEST_FORGED', { queue: FLEET_QUEUE, host: name, problem });
    if (job.id !== jobIdOf(order.id)) throw forged('it is a copy');
    if ((await over.find(order.id)) !== null || (await endDamaged(redis, token, order))) return null;
    const stored = await lease.load();
    const stale = staleProblem(order, stored);
    if (stale !== null) throw forged(stale);
    return stored === null || isDrainOver(stored) ? null : lease;
  } catch (error) {
    if (!(error instanceof CmtError) && !(error instanceof z.ZodError)) throw error;
    logger.warn({ job: job.id, err: error }, 'an order about a host is refused');
    const unsigned = { queue: FLEET_QUEUE, host: name, problem: 'it is not a signed order' };
    const { failure } = error instanceof CmtError ? error : new CmtError('REQUEST_FORGED', unsigned);
    await refuse(redis, { job, ownership, token }, failure);
    return null;
  }
}

/**
 * Ends an order whose report nobody can read: which of its moves were begun is not known, so none is begun once more.
 * @returns false where it can be read, or there is none
 */
async function endDamaged(redis: Redis, token: string, order: FleetOrder): Promise<boolean> {
  const { id, kind, host, parallel, requestedAt: startedAt } = order;
  const text = await redis.hget(keys.drains, host);
  if (text === null || parseReport(text) !== null) return false;
  await saveReport(redis, token, {
    ...{ v: 1, id, kind, host, parallel, startedAt, deadlineAt: null, endedAt: Date.now(), moves: [] },
    ...{ state: 'incomplete', failure: { code: 'DRAIN_DAMAGED', details: { host } } },
  }).catch((error: unknown) => {
    // It is another order's, in another format.
    if (!(error instanceof Fenced)) throw error;
  });
  return true;
}

/** Who asked sees why nothing happens, and the host is open: nobody who may has closed it. */
async function refuse(redis: Redis, { job, ownership, token }: Held, failure: Failure): Promise<void> {
  const report = (await drains(redis)).find(({ id }) => jobIdOf(id) === job.id);
  if (report?.state !== 'queued') return;
  await saveReport(redis, token, { ...report, state: 'refused', failure, endedAt: Date.now() });
  ownership.assertOwned();
  if ((await drainedHosts(redis))[report.host] === report.id) await redis.hdel(keys.drained, report.host);
}

const staleProblem = (order: FleetOrder, stored: DrainReport | null): string | null =>
  stored?.state === 'running' ? null : staleness(order.requestedAt, ORDER_FRESH_MS * 24, Date.now());

const SAVE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local before = redis.call('HGET', KEYS[2], ARGV[2])
if not before then return 0 end
local read, report = pcall(cjson.decode, before)
if read and type(report) == 'table' and report.id and report.id ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[4])
if ARGV[5] == '1' then redis.call('HDEL', KEYS[3], ARGV[3]) end
return 1
`;

interface LeaseParts {
  readonly redis: Redis;
  readonly order: FleetOrder;
  readonly sealed: Sealed;
  readonly token: string;
  readonly ownership: Ownership;
}

function leaseOf({ redis, order, sealed, token, ownership }: LeaseParts): DrainLease {
  const { signal } = ownership;
  return {
    ...{ order, sealed, signal },
    load: async () => {
      const report = await obeying(drainOf(redis, order.host), signal);
      return report?.id === order.id ? report : null;
    },
    save: async (report) => {
      ownership.assertOwned();
      await obeying(saveReport(redis, token, report), signal);
    },
  };
}

/** @throws {Fenced} */
async function saveReport(redis: Redis, token: string, report: DrainReport): Promise<void> {
  const { id, host } = report;
  const lock = `${PREFIX}:${FLEET_QUEUE}:${jobIdOf(id)}:lock`;
  const args = [token, host, id, JSON.stringify(report), isDrainOver(report) ? 1 : 0];
  const saved = await runScript(redis, SAVE, [lock, keys.drains, keys.orders], args);
  if (saved !== 1) throw new Fenced('another order has taken its place');
}
