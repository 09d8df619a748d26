/**
 * Limits as places that migrations take up: so many leave a host, go to a host, move in the fleet, and one a container. What finds no
 * place waits in the line of the limit that it lacks, and is called when one is free.
 *
 * INVARIANTS
 * - A migration has all of its places or none; it waits in one line at most. Both are decided in one step, for all coordinators.
 * - Nobody overtakes: a free place belongs to who stands first in its line, by priority and then by the time of asking.
 * - A place is held by a migration that has not ended. Whoever finds a limit full looks first whether that is so: what a crash kept
 *   from being given back is given back then.
 * - Being called only hurries: whoever waits looks by itself as well.
 */
import {
  keys,
  PREFIX,
  type ContainerId,
  type HostName,
  type MigrationId,
  type Priority,
} from '@cmt/contracts';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { reaching } from './connection.ts';
import { pause } from './bounded.ts';
import { migrationJobId } from './migration-key.ts';
import { runScript } from './script.ts';

/** One limit, and how many may have a place of it. */
export interface LimitedPlace {
  readonly key: string;
  readonly limit: number;
}

export interface PlacesAsked {
  readonly migration: MigrationId;
  readonly source: HostName;
  /** Its id where it is known: no two migrations of it at once. */
  readonly container: ContainerId | null;
  readonly priority: Priority;
  /** Milliseconds since 1970. */
  readonly requestedAt: number;
  /** Bytes of memory that it carries, for those who look for room meanwhile. */
  readonly memory: number;
  readonly places: readonly LimitedPlace[];
}

/** What came of asking. `lacks` is the key of the limit it waits for now, `ahead` how many stand before it. */
export type PlacesAnswer =
  | { readonly kind: 'taken' }
  | { readonly kind: 'busy'; readonly with: MigrationId }
  | { readonly kind: 'waits'; readonly lacks: string; readonly ahead: number };

/** Shared by both scripts. A migration nobody knows counts as ended. */
const SHARED = `
local P = '${PREFIX}:'
local ENDS = { done = 1, validated = 1, refused = 1, ['rolled-back'] = 1, cancelled = 1, ['needs-operator'] = 1 }
local function isOver(id)
  local status = redis.call('HGET', P .. 'saga:' .. id, 'status')
  return not status or ENDS[status] ~= nil
end
local function giveBack(saga, id)
  local freed = {}
  for place in string.gmatch(redis.call('HGET', saga, 'places') or '', '%S+') do
    if redis.call('HDEL', P .. 'slots:' .. place, id) == 1 then freed[#freed + 1] = place end
  end
  redis.call('HDEL', saga, 'places')
  return freed
end
-- Those of the places for which somebody waits, each once.
local function waitedFor(places)
  local called = {}
  for _, place in ipairs(places) do
    if not called[place] and redis.call('EXISTS', P .. 'waiting:' .. place) == 1 then
      called[place] = true
      called[#called + 1] = place
    end
  end
  return called
end
local function leaveLine(saga, id)
  local line = redis.call('HGET', saga, 'waits')
  if not line then return false end
  redis.call('HDEL', saga, 'waits')
  redis.call('ZREM', P .. 'waiting:' .. line, id)
  return line
end
`;

/** KEYS saga; ARGV id, score, bytes, container's place or '', then place and limit, again and again. */
const TAKE = `${SHARED}
local saga, id, score = KEYS[1], ARGV[1], tonumber(ARGV[2])
local function free(place, limit)
  local key = P .. 'slots:' .. place
  local held = redis.call('HLEN', key) - redis.call('HEXISTS', key, id)
  if held < limit then return limit - held end
  held = 0
  for _, other in ipairs(redis.call('HKEYS', key)) do
    if other ~= id then
      if isOver(other) then redis.call('HDEL', key, other) else held = held + 1 end
    end
  end
  return limit - held
end
local function ahead(place, enough)
  local key, live = P .. 'waiting:' .. place, 0
  local last = redis.call('ZRANK', key, id)
  last = last and last - 1 or redis.call('ZCOUNT', key, '-inf', score) - 1
  if last < 0 then return 0 end
  for _, other in ipairs(redis.call('ZRANGE', key, 0, math.min(last, enough + 63))) do
    if isOver(other) then redis.call('ZREM', key, other) else live = live + 1 end
    if live >= enough then return live end
  end
  return live
end
if ARGV[4] ~= '' then
  for _, other in ipairs(redis.call('HKEYS', P .. 'slots:' .. ARGV[4])) do
    if other ~= id then
      if not isOver(other) then return { 'busy', other } end
      redis.call('HDEL', P .. 'slots:' .. ARGV[4], other)
    end
  end
end
local lacks = nil
for at = 5, #ARGV, 2 do
  local left = free(ARGV[at], tonumber(ARGV[at + 1]))
  if left <= 0 or ahead(ARGV[at], left) >= left then lacks = ARGV[at] break end
end
local line = leaveLine(saga, id)
local freed = giveBack(saga, id)
if lacks then
  redis.call('ZADD', P .. 'waiting:' .. lacks, score, id)
  redis.call('HSET', saga, 'waits', lacks)
  if line and line ~= lacks then freed[#freed + 1] = line end
  return { 'waits', lacks, redis.call('ZRANK', P .. 'waiting:' .. lacks, id), unpack(waitedFor(freed)) }
end
local mine, call = {}, {}
for at = 5, #ARGV, 2 do
  redis.call('HSET', P .. 'slots:' .. ARGV[at], id, ARGV[3])
  mine[#mine + 1] = ARGV[at]
  if free(ARGV[at], tonumber(ARGV[at + 1])) > 1 then call[#call + 1] = ARGV[at] end
end
if ARGV[4] ~= '' then
  redis.call('HSET', P .. 'slots:' .. ARGV[4], id, ARGV[3])
  mine[#mine + 1] = ARGV[4]
end
redis.call('HSET', saga, 'places', table.concat(mine, ' '))
for _, place in ipairs(freed) do call[#call + 1] = place end
return { 'taken', unpack(waitedFor(call)) }
`;

const GIVE_BACK = `${SHARED}
if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
local line = leaveLine(KEYS[1], ARGV[1])
local freed = giveBack(KEYS[1], ARGV[1])
if line then freed[#freed + 1] = line end
return waitedFor(freed)
`;

/** High before normal before low, and within each the first who asked: far enough apart for any date. */
const RANK: Readonly<Record<Priority, number>> = { high: 0, normal: 1, low: 2 };
const scoreOf = ({ priority, requestedAt }: PlacesAsked): number => RANK[priority] * 1e13 + requestedAt;

/** Takes all places of a migration, or puts it into a line. Asked again it is the same migration. */
export async function takePlaces(redis: Redis, queue: Queue, asked: PlacesAsked): Promise<PlacesAnswer> {
  const { migration, container, source, memory, places } = asked;
  const own = container === null ? '' : `container:${source}/${container}`;
  const limits = places.flatMap(({ key, limit }) => [key, limit]);
  const answer = (await runScript(
    redis,
    TAKE,
    [keys.saga(migration)],
    [migration, scoreOf(asked), Math.round(memory), own, ...limits],
  )) as (string | number)[];
  const [kind, second, third, ...more] = answer;
  if (kind === 'busy') return { kind, with: String(second) };
  if (kind === 'waits') {
    callNext(redis, queue, more.map(String));
    return { kind, lacks: String(second), ahead: Number(third) };
  }
  callNext(redis, queue, answer.slice(1).map(String));
  return { kind: 'taken' };
}

/** Gives back what a migration has, and calls who stands first for it. */
export async function givePlacesBack(redis: Redis, queue: Queue, migration: MigrationId): Promise<void> {
  const freed = await runScript(redis, GIVE_BACK, [keys.saga(migration)], [migration]);
  callNext(redis, queue, (freed as unknown[]).map(String));
}

/** A migration that waits is looked at again at once. */
export async function call(queue: Queue, migration: MigrationId): Promise<boolean> {
  const job = await queue.getJob(migrationJobId(migration));
  if (job === undefined) return false;
  return await job.promote().then(
    () => true,
    () => false,
  );
}

/** Tries, and milliseconds between them: who stands first may be just about to lie down. */
const CALLS = 5;
const AGAIN_MS = 100;

/** In the background: nobody has to wait for it, and what goes wrong costs a moment. */
function callNext(redis: Redis, queue: Queue, places: readonly string[]): void {
  for (const place of places) void callFirst(redis, queue, place).catch(() => undefined);
}

async function callFirst(redis: Redis, queue: Queue, place: string): Promise<void> {
  const [first] = await redis.zrange(keys.waiting(place), 0, 0);
  if (first === undefined) return;
  for (let tries = CALLS; tries > 0; tries -= 1) {
    if (await call(queue, first)) return;
    await pause(AGAIN_MS);
  }
}

/** Which of these containers of a host are part of a migration. */
export async function movingContainers(
  redis: Redis,
  host: HostName,
  containers: readonly ContainerId[],
): Promise<ContainerId[]> {
  const pipeline = redis.pipeline();
  for (const id of containers) pipeline.hlen(keys.slots(`container:${host}/${id}`));
  const answers = (await pipeline.exec()) ?? [];
  return containers.filter((_, at) => Number(answers[at]?.[1] ?? 0) > 0);
}

/** What is under way with each host. */
export interface Traffic {
  readonly arriving: { readonly count: number; readonly memory: number };
  readonly leaving: number;
}

/** The places taken at these hosts, by host. */
export const trafficOf = (
  redis: Redis,
  names: readonly HostName[],
): Promise<ReadonlyMap<HostName, Traffic>> => reaching(redis, readTraffic(redis, names));

async function readTraffic(
  redis: Redis,
  names: readonly HostName[],
): Promise<ReadonlyMap<HostName, Traffic>> {
  const pipeline = redis.pipeline();
  for (const name of names) pipeline.hvals(keys.slots(`in:${name}`)).hlen(keys.slots(`out:${name}`));
  const answers = (await pipeline.exec()) ?? [];
  return new Map(
    names.map((name, at) => {
      const arriving = (answers[2 * at]?.[1] ?? []) as string[];
      const memory = arriving.reduce((sum, bytes) => sum + Number(bytes), 0);
      const leaving = Number(answers[2 * at + 1]?.[1] ?? 0);
      return [name, { arriving: { count: arriving.length, memory }, leaving }] as const;
    }),
  );
}
