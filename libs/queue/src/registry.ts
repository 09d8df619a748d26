/**
 * Who is there: every worker announces its host, everybody can look. Ages are measured on Redis's clock alone, so the
 * clocks of the hosts need not agree.
 * INVARIANT: an announcement that cannot be read is that host's matter alone: the others are read all the same.
 */
import { CmtError, HostFacts, HostRecord, keys, type HostName, type HostState } from '@cmt/contracts';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { z } from 'zod';
import { within } from './bounded.ts';
import { reaching } from './connection.ts';
import { jsonText, problemOf, UNTOLD, type Unreadable } from './json-text.ts';
import { runScript } from './script.ts';

export interface SeenHost {
  readonly name: HostName;
  readonly state: HostState;
  /** Milliseconds since the last announcement. */
  readonly ageMs: number;
  /** Milliseconds that its clock was ahead of that of Redis then, less what the announcement took on its way. */
  readonly clockOffsetMs?: number;
  readonly record: HostRecord;
}

/** Milliseconds: between announcements, until a silent host counts as unreachable and as offline. */
export const ANNOUNCE_MS = 3_000;
const UNREACHABLE_MS = 10_000;
const OFFLINE_MS = 60_000;
const GOOD_BYE_MS = 1_000;
/** A host that was never heard of again is forgotten after 30 days. */
const FORGET_MS = 30 * 24 * 3600 * 1000;

const ANNOUNCE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], 1, now - ARGV[3])
return now
`;

/** Announces a host once. */
export async function announceOnce(redis: Redis, record: HostRecord): Promise<void> {
  const { name } = record.facts;
  await runScript(redis, ANNOUNCE, [keys.host(name), keys.hosts], [name, JSON.stringify(record), FORGET_MS]);
}

export interface Announcer {
  /** Announces now instead of at the next turn: something has changed. */
  now(): Promise<void>;
  /** Stops, and says good-bye: the host is offline at once. */
  close(): Promise<void>;
}

/** Announces a host every three seconds. `record` is asked for each time; a producer's connection fits best. */
export function announce(
  redis: Redis,
  name: HostName,
  record: () => HostRecord | Promise<HostRecord>,
  logger: Logger,
): Announcer {
  let under: Promise<void> = Promise.resolve();
  const once = async () => {
    try {
      await announceOnce(redis, await record());
    } catch (error) {
      logger.warn({ err: error }, 'this host could not be announced');
    }
  };
  // One after the other: the good-bye must not be overtaken.
  const now = () => (under = under.then(once));
  const timer = setInterval(() => void now(), ANNOUNCE_MS);
  void now();
  return {
    now,
    close: async () => {
      clearInterval(timer);
      const goodBye = under.then(() => redis.zadd(keys.hosts, 0, name)).then(() => undefined);
      await within(
        goodBye.catch(() => undefined),
        GOOD_BYE_MS,
        () => undefined,
      );
    },
  };
}

/** All hosts that have announced themselves, by name. @param unreadable told of each that is left out for that */
export const hosts = async (redis: Redis, unreadable = UNTOLD): Promise<SeenHost[]> => {
  const { now, announced } = await reaching(redis, readAnnounced(redis));
  return announced
    .map((each) => seenHost(each, now, unreadable))
    .filter((each) => each !== null)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
};

/** What a host announces of its journal. */
export type NotedHost = Pick<SeenHost, 'name' | 'state'> & { readonly record: Pick<HostRecord, 'journal'> };

/** Of each host its name, the time of its announcement, and that announcement where it holds notes. */
const WITH_NOTES = `
local time = redis.call('TIME')
local hosts = {}
local scored = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for at = 1, #scored, 2 do
  local text = redis.pcall('GET', ARGV[1] .. scored[at])
  if type(text) == 'string' then
    local hasNotes = string.find(text, '"journal":[{', 1, true)
    hosts[#hosts + 1] = { scored[at], scored[at + 1], hasNotes and text or '' }
  end
end
return { time[1] * 1000 + math.floor(time[2] / 1000), hosts }
`;

/** The same hosts, for who looks every few seconds: nothing but notes leaves Redis, and those only of hosts that have some. */
export async function hostsWithNotes(redis: Redis, unreadable = UNTOLD): Promise<NotedHost[]> {
  const answer = await reaching(redis, runScript(redis, WITH_NOTES, [keys.hosts], [keys.host('')]));
  const [now, found] = answer as [number, [string, string, string][]];
  return found.flatMap(([name, score, text]) => {
    const at = Number(score);
    const record = text === '' ? {} : readAs(Notes, { name, text, at }, unreadable);
    return record === null ? [] : [{ name, state: stateAt(Math.max(0, now - at)), record }];
  });
}
const Notes = jsonText(HostRecord.pick({ journal: true }));

/** What a host announces of its containers, and what it calls itself. */
export interface ContainersOfHost {
  readonly record: {
    readonly facts: Pick<HostRecord['facts'], 'name'>;
    readonly containers: HostRecord['containers'];
  };
}

const Containers = jsonText(
  z.object({ facts: HostFacts.pick({ name: true }), containers: HostRecord.shape.containers }),
);

/** All hosts that have announced themselves, by name, for who lists their containers: of the rest nothing is checked. */
export async function hostsWithContainers(redis: Redis, unreadable = UNTOLD): Promise<ContainersOfHost[]> {
  const { announced } = await reaching(redis, readAnnounced(redis));
  return announced
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((each) => readAs(Containers, each, unreadable))
    .filter((record) => record !== null)
    .map((record) => ({ record }));
}

/** Null where there is nothing, or nothing that can be read. */
function readAs<T>(schema: z.ZodType<T>, { name, text }: Announced, unreadable: Unreadable): T | null {
  if (text === null) return null;
  const parsed = schema.safeParse(text);
  if (!parsed.success) unreadable(name, problemOf(parsed.error));
  return parsed.data ?? null;
}

/** What a host has said of itself last, and when. */
interface Announced {
  readonly name: HostName;
  readonly text: string | null;
  readonly at: number;
}

/** Milliseconds since 1970 on the clock of Redis. */
interface Announcements {
  readonly now: number;
  readonly announced: Announced[];
}

async function readAnnounced(redis: Redis): Promise<Announcements> {
  const [time, scored] = await Promise.all([redis.time(), redis.zrange(keys.hosts, 0, -1, 'WITHSCORES')]);
  const names = scored.filter((_, at) => at % 2 === 0);
  const texts = names.length === 0 ? [] : await redis.mget(names.map((name) => keys.host(name)));
  return {
    now: millisOf(time),
    announced: names.map((name, at) => ({ name, text: texts[at] ?? null, at: Number(scored[2 * at + 1]) })),
  };
}

/** The time, and the announcements of some hosts and when each was made. */
const NAMED = `
local scores = {}
for at = 1, #ARGV do scores[at] = redis.call('ZSCORE', KEYS[1], ARGV[at]) end
return { redis.call('TIME'), redis.call('MGET', unpack(KEYS, 2)), scores }
`;

/** These hosts, in that order, read alone: what is asked for every migration must not grow with the fleet. @throws {CmtError} HOST_UNKNOWN, HOST_UNREADABLE */
export async function hostsNamed<Names extends readonly HostName[]>(
  redis: Redis,
  ...names: Names
): Promise<{ [At in keyof Names]: SeenHost }> {
  const asked = runScript(redis, NAMED, [keys.hosts, ...names.map((name) => keys.host(name))], names);
  const [time, texts, scores] = (await reaching(redis, asked)) as [
    string[],
    (string | null)[],
    (string | null)[],
  ];
  const found = names.map((name, at) => {
    const score = scores[at] ?? null;
    const announced = { name, text: texts[at] ?? null, at: Number(score) };
    return score === null ? null : seenHost(announced, millisOf(time), refuseUnreadable);
  });
  const missing = names[found.indexOf(null)];
  if (missing === undefined) return found as { [At in keyof Names]: SeenHost };
  const known = (await hosts(redis)).map((seen) => seen.name).join(', ') || 'none';
  throw new CmtError('HOST_UNKNOWN', { host: missing, known });
}

const millisOf = ([seconds, micros]: readonly (number | string)[]): number =>
  Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);

const Record = jsonText(HostRecord);

const refuseUnreadable: Unreadable = (host, problem) => {
  throw new CmtError('HOST_UNREADABLE', { host, problem });
};

function seenHost(announced: Announced, now: number, unreadable: Unreadable): SeenHost | null {
  const record = readAs(Record, announced, unreadable);
  if (record === null) return null;
  const { name, at: announcedAt } = announced;
  const ageMs = Math.max(0, now - announcedAt);
  // One that has said good-bye tells nothing about its clock.
  const clockOffsetMs = announcedAt === 0 ? 0 : record.seenAt - announcedAt;
  return { name, state: stateAt(ageMs), ageMs, clockOffsetMs, record };
}

/** How a host of that age counts. */
export function stateAt(ageMs: number): HostState {
  if (ageMs < UNREACHABLE_MS) return 'online';
  return ageMs < OFFLINE_MS ? 'unreachable' : 'offline';
}
