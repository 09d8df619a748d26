/**
 * Saga state in Redis: an opaque state for the coordinator, a report beside it for everybody else.
 *
 * INVARIANTS
 * - State is written only by who holds the lock of the migration's job at that moment: the script compares the token.
 *   (BullMQ's own `updateData` does not.)
 * - The event that tells of a change of state is written in the same step as the state, and an end is counted in that step:
 *   once, whichever coordinator brought it about.
 * - A report that cannot be read hides no other, and not the state beside it either: the next state stored mends it.
 */
import type { Sealed } from '@cmt/contracts';
import {
  CmtError,
  endedUnbegun,
  isEnd,
  keys,
  Limits,
  MigrationReport,
  MigrationState,
  type MigrationEvent,
  type MigrationId,
} from '@cmt/contracts';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { reaching } from './connection.ts';
import { EVENTS_KEPT } from './events.ts';
import { jsonOrText, jsonText, problemOf, UNTOLD } from './json-text.ts';
import { migrationJobKey } from './migration-key.ts';
import { Fenced } from './ownership.ts';
import type { FleetJob } from './fleet-job.ts';
import type { RecoveryOrder } from './recovery.ts';
import { runScript } from './script.ts';
import type { Standing } from './standing.ts';
import { talliesOf } from './tally.ts';

/** Milliseconds that a migration can be looked up after its end: 30 days. */
export const RETENTION_MS = 30 * 24 * 3600 * 1000;

const DEFAULT_LIMIT = Limits.parse({}).queue;

export interface StoredSaga {
  /** What the coordinator stored last, or null before it has stored anything; text where it is damaged. */
  readonly state: unknown;
  readonly report: MigrationReport;
  /** Grows with every save. */
  readonly version: number;
}

/** Holds the token of whoever owns the migration. */
export const lockKey = (id: MigrationId): string => `${migrationJobKey(id)}:lock`;

const SAVE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local before = redis.call('HGET', KEYS[2], 'status')
redis.call('HSET', KEYS[2], 'state', ARGV[2], 'report', ARGV[3], 'status', ARGV[4], 'unbegun', ARGV[11])
if before ~= ARGV[4] then
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', 'event', ARGV[6])
end
redis.call('ZADD', KEYS[4], 'NX', ARGV[8], ARGV[9])
if ARGV[7] == '0' then
  redis.call('SADD', KEYS[5], ARGV[9])
else
  redis.call('SREM', KEYS[5], ARGV[9])
end
if before ~= ARGV[4] then
  for _, tally in ipairs(cjson.decode(ARGV[10])) do
    if tally.once == '' or redis.call('HSETNX', KEYS[2], 'tallied_' .. tally.once, 1) == 1 then
      for field, more in pairs(tally.add) do redis.call('HINCRBY', KEYS[6], field, more) end
    end
  end
end
if ARGV[7] ~= '0' then
  redis.call('PEXPIRE', KEYS[2], ARGV[7])
  redis.call('PEXPIRE', KEYS[3], ARGV[7])
end
local answer = { redis.call('HINCRBY', KEYS[2], 'version', 1) }
for at = 7, #KEYS do answer[at - 5] = redis.call('EXISTS', KEYS[at]) end
return answer
`;

/**
 * Stores state and report, and tells watchers when the migration's state has changed.
 * @throws {Fenced} when `token` does not hold the lock
 */
export async function saveSaga(
  redis: Redis,
  token: string,
  state: unknown,
  report: MigrationReport,
  host: string,
): Promise<void> {
  await saveAndLook(redis, token, { state, report, host }, []);
}

/** What is stored, and who stores it. */
export interface ToStore {
  readonly state: unknown;
  readonly report: MigrationReport;
  readonly host: string;
}

/**
 * The same, and a look in the same step.
 * @param jobs keys
 * @returns of each whether it was there
 * @throws {Fenced} when `token` does not hold the lock
 */
export async function saveAndLook(
  redis: Redis,
  token: string,
  { state, report, host }: ToStore,
  jobs: readonly string[],
): Promise<boolean[]> {
  const { id } = report;
  const answer = await runScript(
    redis,
    SAVE,
    [lockKey(id), keys.saga(id), keys.events(id), keys.sagas, keys.open, keys.tally, ...jobs],
    [
      token,
      JSON.stringify(state),
      JSON.stringify(report),
      report.state,
      EVENTS_KEPT,
      JSON.stringify(stateEvent(report, host)),
      isEnd(report.state) ? RETENTION_MS : 0,
      report.request.requestedAt,
      id,
      JSON.stringify(talliesOf(report)),
      Number(endedUnbegun(report)),
    ],
  );
  if (answer === 0) throw new Fenced('another coordinator has taken the migration over');
  return (answer as number[]).slice(1).map((found) => found === 1);
}

/** Why a migration ends. */
type Told = Pick<MigrationReport, 'state' | 'failure' | 'message' | 'remedy'>;

const Fields = jsonText(z.looseObject({}));

/**
 * Ends a migration whose report only a newer cmt can read, or nobody: it gets these words, and stays what it was besides.
 * @throws {Fenced} when `token` does not hold the lock
 */
export async function endUnreadable(
  redis: Redis,
  token: string,
  id: MigrationId,
  told: Told,
  host: string,
): Promise<void> {
  const [report, state] = await reaching(redis, redis.hmget(keys.saga(id), 'report', 'state'));
  if (report == null) return;
  const answer = await runScript(
    redis,
    SAVE,
    [lockKey(id), keys.saga(id), keys.events(id), keys.sagas, keys.open, keys.tally],
    [
      token,
      state ?? 'null',
      JSON.stringify({ ...Fields.safeParse(report).data, ...told }),
      told.state,
      EVENTS_KEPT,
      JSON.stringify(stateEvent({ id, state: told.state }, host)),
      RETENTION_MS,
      Date.now(),
      id,
      '[]',
      Number(endedUnbegun(told)),
    ],
  );
  if (answer === 0) throw new Fenced('another coordinator has taken the migration over');
}

const CLAIM = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return false end
return { redis.call('HINCRBY', KEYS[2], 'lease', 1), unpack(redis.call('HMGET', KEYS[2], 'report', 'state', 'version')) }
`;

/** One taking over of a migration, and how it stood then. */
export interface TakenOver {
  /** How often the migration was taken over, this time included. */
  readonly number: number;
  readonly stored: StoredSaga | null;
  /** As in `stored`, whether the report beside it can be read or not. */
  readonly state: unknown;
}

/**
 * Counts a coordinator's taking over. Legs of an earlier count that were not adopted by it are refused by workers.
 * @throws {Fenced}
 */
export async function claimLease(redis: Redis, token: string, id: MigrationId): Promise<TakenOver> {
  const answer = await runScript(redis, CLAIM, [lockKey(id), keys.saga(id)], [token]);
  if (answer === null) throw new Fenced('another coordinator has taken the migration over');
  const [number, ...fields] = answer as [number, ...(string | null)[]];
  return { number, stored: storedSaga(fields), state: stateIn(fields[1]) };
}

const REGISTER = `
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local limit = tonumber(ARGV[7])
if redis.call('SCARD', KEYS[4]) >= limit then
  local ends = { done = 1, validated = 1, refused = 1, ['rolled-back'] = 1, cancelled = 1, ['needs-operator'] = 1 }
  for _, id in ipairs(redis.call('SMEMBERS', KEYS[4])) do
    local status = redis.call('HGET', ARGV[8] .. id, 'status')
    if not status or ends[status] then redis.call('SREM', KEYS[4], id) end
  end
  local open = redis.call('SCARD', KEYS[4])
  if open >= limit then return -open end
end
redis.call('SADD', KEYS[4], ARGV[4])
redis.call('HSET', KEYS[1], 'report', ARGV[1], 'status', 'queued', 'sealed', ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', 'event', ARGV[6])
return 1
`;

/**
 * Writes the first report of a migration, and its signed request. @returns false when that id is known already.
 * @param limit how many migrations may be open
 * @throws {CmtError} QUEUE_FULL
 */
export async function registerSaga(
  redis: Redis,
  report: MigrationReport,
  sealed: Sealed | FleetJob,
  limit = DEFAULT_LIMIT,
): Promise<boolean> {
  const { id } = report;
  const made = await runScript(
    redis,
    REGISTER,
    [keys.saga(id), keys.sagas, keys.events(id), keys.open],
    [
      JSON.stringify(report),
      JSON.stringify(sealed),
      report.request.requestedAt,
      id,
      EVENTS_KEPT,
      JSON.stringify(stateEvent(report, 'client')),
      limit,
      keys.saga(''),
    ],
  );
  if (Number(made) < 0) throw new CmtError('QUEUE_FULL', { count: -Number(made), limit });
  return made === 1;
}

const REGISTER_FORGOTTEN = `
if redis.call('HGET', KEYS[1], 'status') and redis.call('HGET', KEYS[1], 'unbegun') ~= '1' then return 0 end
redis.call('HDEL', KEYS[1], 'state', 'sealed', 'unbegun')
redis.call('HSET', KEYS[1], 'report', ARGV[1], 'status', 'queued', 'recovery', ARGV[2])
redis.call('PERSIST', KEYS[1])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[4])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', 'event', ARGV[6])
redis.call('PERSIST', KEYS[3])
redis.call('SADD', KEYS[4], ARGV[4])
return 1
`;

/** Writes the first report of a migration that only its hosts remember. @returns false when it is known after all */
export async function registerForgotten(
  redis: Redis,
  report: MigrationReport,
  order: RecoveryOrder,
): Promise<boolean> {
  const { id } = report;
  const made = await runScript(
    redis,
    REGISTER_FORGOTTEN,
    [keys.saga(id), keys.sagas, keys.events(id), keys.open],
    [
      JSON.stringify(report),
      JSON.stringify(order),
      report.request.requestedAt,
      id,
      EVENTS_KEPT,
      JSON.stringify(stateEvent(report, 'coordinator')),
    ],
  );
  return made === 1;
}

/** A migration as it stands, or null when nobody knows it, or nobody can read its report. */
export async function readSaga(redis: Redis, id: MigrationId): Promise<StoredSaga | null> {
  return storedSaga(await sagaFields(redis, id));
}

/** The same for who asks for this very migration. @throws {CmtError} MIGRATION_UNKNOWN, MIGRATION_UNREADABLE */
export async function knownSaga(redis: Redis, id: MigrationId): Promise<StoredSaga> {
  const fields = await sagaFields(redis, id);
  const saga = storedSaga(fields, (problem) => {
    throw new CmtError('MIGRATION_UNREADABLE', { migration: id, problem });
  });
  if (saga === null) throw new CmtError('MIGRATION_UNKNOWN', { migration: id });
  return saga;
}

/** Whether a coordinator has stored a state of it. */
export async function hasState(redis: Redis, id: MigrationId): Promise<boolean> {
  return stateIn(await reaching(redis, redis.hget(keys.saga(id), 'state'))) !== null;
}

const sagaFields = (redis: Redis, id: MigrationId): Promise<(string | null)[]> =>
  reaching(redis, redis.hmget(keys.saga(id), 'report', 'state', 'version'));

function storedSaga(
  [text, state, version]: readonly (string | null)[],
  unreadable: (why: string) => void = () => undefined,
): StoredSaga | null {
  const report = parseReport(text, unreadable);
  return report === null ? null : { state: stateIn(state), report, version: Number(version ?? 0) };
}

const stateIn = (text: string | null | undefined): unknown => (text == null ? null : jsonOrText(text));

/** Null when nobody knows it. */
export async function standingOf(redis: Redis, id: MigrationId): Promise<Standing | null> {
  const [state, unbegun] = await reaching(redis, redis.hmget(keys.saga(id), 'status', 'unbegun'));
  return state == null ? null : { state, isUnbegun: unbegun === '1' };
}

/** The state of a migration, read without its report; null when nobody knows it. */
export async function statusOf(redis: Redis, id: MigrationId): Promise<MigrationState | null> {
  const status = MigrationState.safeParse(await reaching(redis, redis.hget(keys.saga(id), 'status')));
  return status.success ? status.data : null;
}

/** The reports of the migrations that have not ended, in no order; those that cannot be read are left out. */
export async function openSagas(redis: Redis): Promise<MigrationReport[]> {
  const ids = await reaching(redis, redis.smembers(keys.open));
  const pipeline = redis.pipeline();
  for (const id of ids) pipeline.hget(keys.saga(id), 'report');
  const answers = (await reaching(redis, pipeline.exec())) ?? [];
  return answers
    .map(([, text]) => parseReport(text as string | null))
    .filter((report): report is MigrationReport => report !== null && !isEnd(report.state));
}

/** The reports of the newest migrations, newest first. @param unreadable told of each that is left out */
export async function listSagas(
  redis: Redis,
  limit: number,
  unreadable = UNTOLD,
): Promise<MigrationReport[]> {
  const ids = await reaching(redis, redis.zrevrange(keys.sagas, 0, limit - 1));
  const reports = await Promise.all(ids.map((id) => redis.hget(keys.saga(id), 'report')));
  const gone = ids.filter((_, index) => reports[index] === null);
  if (gone.length > 0) await redis.zrem(keys.sagas, ...gone);
  return reports
    .map((text, at) => parseReport(text, (why) => unreadable(ids[at] ?? '', why)))
    .filter((report) => report !== null);
}

const Report = jsonText(MigrationReport);

function parseReport(
  text: string | null | undefined,
  unreadable: (why: string) => void = () => undefined,
): MigrationReport | null {
  if (text == null) return null;
  const parsed = Report.safeParse(text);
  if (!parsed.success) unreadable(problemOf(parsed.error));
  return parsed.data ?? null;
}

const stateEvent = (report: Pick<MigrationReport, 'id' | 'state'>, host: string): MigrationEvent => ({
  v: 1,
  migration: report.id,
  at: Date.now(),
  host,
  kind: 'state',
  text: report.state,
});
