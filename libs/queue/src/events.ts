/** A migration's events: a Redis stream that hosts and coordinators write and anybody follows. */
import { isEnd, keys, MigrationEvent, MigrationState, type MigrationId } from '@cmt/contracts';
import type { Redis } from 'ioredis';
import { obeying } from './bounded.ts';
import { reaching } from './connection.ts';
import { jsonText } from './json-text.ts';
import { runScript } from './script.ts';

/** Events that a stream keeps, about; and milliseconds that it lives after the last step: 7 days. */
export const EVENTS_KEPT = 2000;
const LIFETIME_MS = 7 * 24 * 3600 * 1000;
/** Longest wait for an event before the migration itself is looked at, in milliseconds. */
const BLOCK_MS = 1000;

const TELL = `
for at = 3, #ARGV do redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'event', ARGV[at]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
`;

/**
 * Tells those who watch. A state is told by who stores it, in the same step (store.ts).
 * @param events of one migration, in their order
 */
export async function tell(redis: Redis, ...events: [MigrationEvent, ...MigrationEvent[]]): Promise<void> {
  const stream = keys.events(events[0].migration);
  const texts = events.map((event) => JSON.stringify(event));
  // Every step begins with one: what else is told finds the stream's life long enough.
  if (events.some(({ kind }) => kind === 'step-started'))
    await runScript(redis, TELL, [stream], [EVENTS_KEPT, LIFETIME_MS, ...texts]);
  else for (const text of texts) await redis.xadd(stream, 'MAXLEN', '~', EVENTS_KEPT, '*', 'event', text);
}

/**
 * The events of one leg. That a step has ended is told with what comes next, the begin of another or the result of the leg: each write
 * of Redis waits for its disk.
 */
export class LegEvents {
  readonly #send: (...events: [MigrationEvent, ...MigrationEvent[]]) => void;
  #held: MigrationEvent[] = [];

  /** @param send never waits, never fails */
  constructor(send: (...events: [MigrationEvent, ...MigrationEvent[]]) => void) {
    this.#send = send;
  }

  tell(event: MigrationEvent): void {
    this.#held.push(event);
    if (event.kind !== 'step-ended') this.flush();
  }

  /** To be called when the leg is over. */
  flush(): void {
    const [first, ...rest] = this.#held;
    this.#held = [];
    if (first !== undefined) this.#send(first, ...rest);
  }
}

/** The newest event of a migration, for `follow`. */
export async function newestEvent(redis: Redis, id: MigrationId): Promise<EventId> {
  const [newest] = await redis.xrevrange(keys.events(id), '+', '-', 'COUNT', 1);
  return { after: newest?.[0] ?? '0' };
}

/** A place in the stream. */
export interface EventId {
  readonly after: string;
}

/**
 * The events of a migration as they come, on a connection of its own; ends after the one that tells the end.
 * @param from true: its beginning; false: only what comes from now on
 */
export async function* follow(
  redis: Redis,
  id: MigrationId,
  from: boolean | EventId,
  signal: AbortSignal,
): AsyncGenerator<MigrationEvent, void, undefined> {
  const reader = redis.duplicate({
    enableOfflineQueue: true,
    maxRetriesPerRequest: null,
    autoResendUnfulfilledCommands: true,
    commandTimeout: undefined,
  });
  reader.on('error', () => undefined);
  const stop = () => reader.disconnect();
  signal.addEventListener('abort', stop, { once: true });
  try {
    if (signal.aborted) return;
    const { after } =
      from === true ? { after: '0' } : from || (await obeying(newestEvent(reader, id), signal));
    for await (const event of read(reader, id, after, signal)) {
      yield event;
      if (tellsEnd(event)) return;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    reader.disconnect();
  }
}

/** Obeys the signal by itself: a connection that is given up while it is away leaves its commands unanswered for ever. */
async function* read(
  reader: Redis,
  id: MigrationId,
  from: string,
  signal: AbortSignal,
): AsyncGenerator<MigrationEvent> {
  let last = from;
  for (;;) {
    // Looked at before reading: what has ended by now has written its last event.
    const ended = await obeying(hasEnded(reader, id), signal);
    const asked = ended
      ? reader.xread('STREAMS', keys.events(id), last)
      : reader.xread('BLOCK', BLOCK_MS, 'STREAMS', keys.events(id), last);
    const answer = await obeying(asked, signal);
    const entries = answer?.[0]?.[1] ?? [];
    for (const [entryId, fields] of entries) {
      last = entryId;
      const event = parseEvent(fields);
      if (event !== null) yield event;
    }
    if (ended && entries.length === 0) return;
  }
}

async function hasEnded(reader: Redis, id: MigrationId): Promise<boolean> {
  const status = MigrationState.safeParse(await reader.hget(keys.saga(id), 'status'));
  return status.success && isEnd(status.data);
}

function tellsEnd(event: MigrationEvent): boolean {
  const state = MigrationState.safeParse(event.text);
  return event.kind === 'state' && state.success && isEnd(state.data);
}

const Told = jsonText(MigrationEvent);

/** An entry of a stream; null where it cannot be read. */
export const parseEvent = ([, text]: readonly string[]): MigrationEvent | null =>
  Told.safeParse(text).data ?? null;

/** What was told of a migration so far; what cannot be read is left out. */
export async function eventsOf(redis: Redis, id: MigrationId): Promise<MigrationEvent[]> {
  const entries = await reaching(redis, redis.xrange(keys.events(id), '-', '+'));
  return entries.map(([, fields]) => parseEvent(fields)).filter((event) => event !== null);
}
