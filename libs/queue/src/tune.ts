/**
 * What is changed about a migration that is under way: signed orders beside it, obeyed by its coordinator, and its word about what it
 * obeys, for workers.
 *
 * INVARIANTS
 * - Nothing is believed that nobody trusted has signed for this very migration; one order that is refused leaves the others in force.
 * - Each field has the order that set it last; an order about one leaves the others as they are.
 * - Workers believe a coordinator's word alone: they need not know who may ask. The orders stay beside it, for whoever takes over.
 */
import { CmtError, isEnd, keys, TuneOrder, type MigrationId, type Tuning } from '@cmt/contracts';
import type { Redis } from 'ioredis';
import { sendControl } from './bus.ts';
import { reaching } from './connection.ts';
import { jsonOrText } from './json-text.ts';
import type { KeyPair } from './key-pair.ts';
import { openSealed, seal, type Opener } from './seal.ts';
import { Fenced } from './ownership.ts';
import { runScript } from './script.ts';
import { lockKey, statusOf } from './store.ts';

/** What a signature is for, in the place of a queue's name: somebody's order, and the word that it is obeyed. */
const ORDER = 'cmt.tuning';
const WORD = 'cmt.tuned';
/** Seconds: longer than any migration runs. */
const KEPT_S = 7 * 24 * 3600;

const FIELDS = ['bandwidth', 'maxDowntimeMs', 'share'] as const satisfies readonly (keyof Tuning)[];

/**
 * Changes what is named, from now on.
 * @throws {CmtError} MIGRATION_UNKNOWN, or TOO_LATE_TO_TUNE when it has ended
 */
export async function requestTuning(
  redis: Redis,
  { id, tuning }: { readonly id: MigrationId; readonly tuning: Tuning },
  signingKeys: KeyPair,
): Promise<void> {
  const state = await statusOf(redis, id);
  if (state === null) throw new CmtError('MIGRATION_UNKNOWN', { migration: id });
  if (isEnd(state)) throw new CmtError('TOO_LATE_TO_TUNE', { migration: id, reason: `it is ${state}` });
  const order: TuneOrder = { v: 1, kind: 'tune', migration: id, tuning, issuedAt: Date.now() };
  const sealed = JSON.stringify(seal(ORDER, order, signingKeys));
  const changed = FIELDS.filter((field) => tuning[field] !== undefined).flatMap((field) => [field, sealed]);
  const key = keys.tuning(id);
  await reaching(
    redis,
    redis
      .multi()
      .hset(key, ...changed)
      .expire(key, KEPT_S)
      .exec(),
  );
  await reaching(redis, sendControl(redis, { kind: 'tune', migration: id }));
}

const PASS_ON = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'obeyed', ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return 1
`;

/**
 * Tells the workers what the coordinator obeys, all of it, in its own name.
 * @throws {Fenced} when `token` does not hold the migration's lock
 */
export async function passTuningOn(
  redis: Redis,
  token: string,
  { id, tuning }: { readonly id: MigrationId; readonly tuning: Tuning },
  signingKeys: KeyPair,
): Promise<void> {
  const word: TuneOrder = { v: 1, kind: 'tune', migration: id, tuning, issuedAt: Date.now() };
  const sealed = JSON.stringify(seal(WORD, word, signingKeys));
  const isOwn = await runScript(redis, PASS_ON, [lockKey(id), keys.tuning(id)], [token, sealed, KEPT_S]);
  if (isOwn === 0) throw new Fenced('another coordinator has taken the migration over');
  await repeatTuning(redis, id);
}

/** Says (once more) that a migration was tuned, to workers that were perhaps not listening yet. */
export const repeatTuning = (redis: Redis, migration: MigrationId): Promise<void> =>
  reaching(redis, sendControl(redis, { kind: 'tuned', migration }));

/**
 * What a coordinator said last that it obeys; null: nothing was changed.
 * @throws {CmtError} REQUEST_FORGED, REQUEST_NEWER, REQUEST_INVALID when it is not to be believed
 */
export async function readObeyedTuning(
  redis: Redis,
  id: MigrationId,
  opener: Opener,
): Promise<Tuning | null> {
  const sealed = await redis.hget(keys.tuning(id), 'obeyed');
  return sealed === null ? null : (await openOrder(WORD, sealed, id, opener)).tuning;
}

/**
 * What somebody trusted has asked for so far.
 * @param refuse told of each order that is not obeyed: REQUEST_FORGED, REQUEST_NEWER, REQUEST_INVALID
 */
export async function readTuning(
  redis: Redis,
  id: MigrationId,
  opener: Opener,
  refuse: (error: CmtError) => void,
): Promise<Tuning> {
  const stored = await redis.hgetall(keys.tuning(id));
  let tuning: Tuning = {};
  for (const field of FIELDS) {
    const sealed = stored[field];
    if (sealed === undefined) continue;
    try {
      tuning = { ...tuning, [field]: (await openOrder(ORDER, sealed, id, opener)).tuning[field] };
    } catch (error) {
      if (!(error instanceof CmtError)) throw error;
      refuse(error);
    }
  }
  return tuning;
}

async function openOrder(scope: string, sealed: string, id: MigrationId, opener: Opener): Promise<TuneOrder> {
  const order = await openSealed(scope, jsonOrText(sealed), TuneOrder, opener);
  if (order.migration === id) return order;
  const problem = `it is about ${order.migration}`;
  throw new CmtError('REQUEST_FORGED', { queue: scope, host: opener.host, problem });
}
