/** What must not be and is: told by a host again and again while it lasts, read by `cmt status`. */
import { Alarm, keys, type HostName, type MigrationId } from '@cmt/contracts';
import type { Redis } from 'ioredis';
import { reaching } from './connection.ts';
import { jsonText } from './json-text.ts';

const Told = jsonText(Alarm);

/** Milliseconds that an alarm stands after it was last told. */
const LASTS_MS = 60_000;

/** Tells an alarm of a host about a migration. */
export async function raiseAlarm(
  redis: Redis,
  migration: MigrationId,
  host: HostName,
  text: string,
): Promise<void> {
  const alarm: Alarm = { at: Date.now(), text: text.slice(0, 4096) };
  const key = keys.alarms(migration);
  await redis.pipeline().hset(key, host, JSON.stringify(alarm)).pexpire(key, LASTS_MS).exec();
}

/** The alarms of a migration, by host; what cannot be read is left out. */
export async function alarmsOf(
  redis: Redis,
  migration: MigrationId,
): Promise<{ readonly host: HostName; readonly text: string }[]> {
  const told = await reaching(redis, redis.hgetall(keys.alarms(migration)));
  return Object.entries(told).flatMap(([host, text]) => {
    const { data } = Told.safeParse(text);
    return data === undefined ? [] : [{ host, text: data.text }];
  });
}
