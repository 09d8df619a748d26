/**
 * COMMIT or ABORT of one epoch: written once, by whoever is first (lifecycle H3). Beside it an operator's word that one
 * side is fenced, for the migrations that nobody could decide (H8).
 *
 * INVARIANTS
 * - An operator's word is written by the coordinator that owns the migration, and has no expiry either.
 * - The first vote is the decision for ever: it has no expiry and no second writer.
 * - Every call ends within `ANSWER_MS`. One that was rejected may still have been counted, so whoever voted asks again
 *   before acting; it is never sent again by itself.
 */
import { Decision, keys, Resolution, type Epoch, type MigrationId } from '@cmt/contracts';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { z } from 'zod';
import { obeying } from './bounded.ts';
import { openConnection, unreachable, type RedisAddress } from './connection.ts';
import { jsonText, problemOf } from './json-text.ts';
import { keepsEveryWrite, redisFacts } from './redis-facts.ts';
import { runScript } from './script.ts';

/** Milliseconds. */
const ANSWER_MS = 2_000;
const RECENT_MS = 1_000;

const SETTLE = `
local first = redis.call('GET', KEYS[1])
if first then return first end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
`;

/** What several wait for is not given up because one does. */
const NEVER = new AbortController().signal;
const LATE = new Error(`no answer within ${ANSWER_MS} ms`);

export class DecisionRecord {
  readonly #redis: Redis;
  readonly #shown: string;
  #recent: { readonly at: number; readonly mark: Promise<string | null> } | null = null;

  /** Opens a connection of its own: a vote must not wait behind anything. */
  constructor(address: RedisAddress, logger: Logger) {
    this.#redis = openConnection(address, 'producer', logger).setMaxListeners(0);
    this.#shown = address.shown;
  }

  /** The decision of that epoch, or null while there is none. @throws {CmtError} REDIS_UNREACHABLE after two seconds */
  read(migration: MigrationId, epoch: Epoch, signal: AbortSignal): Promise<Decision | null> {
    return this.#ask(signal, async () =>
      said(Decision.nullable(), await this.#redis.get(keys.decision(migration, epoch))),
    );
  }

  /** Votes, and returns whichever vote was first. @throws {CmtError} REDIS_UNREACHABLE after two seconds */
  settle(migration: MigrationId, epoch: Epoch, vote: Decision, signal: AbortSignal): Promise<Decision> {
    return this.#ask(signal, async () =>
      said(Decision, await runScript(this.#redis, SETTLE, [keys.decision(migration, epoch)], [vote])),
    );
  }

  /** What an operator has said about a migration, or null. @throws {CmtError} REDIS_UNREACHABLE after two seconds */
  resolution(migration: MigrationId, signal: AbortSignal): Promise<Resolution | null> {
    return this.#ask(signal, async () => {
      const text = await this.#redis.get(keys.resolution(migration));
      return text === null ? null : said(Word, text);
    });
  }

  /** Writes down what an operator has said, or (null) takes it back. @throws {CmtError} REDIS_UNREACHABLE after two seconds */
  resolve(migration: MigrationId, resolution: Resolution | null, signal: AbortSignal): Promise<void> {
    const key = keys.resolution(migration);
    return this.#ask(signal, async () => {
      if (resolution === null) await this.#redis.del(key);
      else await this.#redis.set(key, JSON.stringify(resolution));
    });
  }

  /**
   * A mark of this very run of Redis, or null when it may lose an acknowledged write (lifecycle H6).
   * Two equal marks mean that nothing was lost between them.
   */
  continuityMark(signal: AbortSignal): Promise<string | null> {
    return this.#ask(signal, async () => {
      const facts = await redisFacts(this.#redis);
      return keepsEveryWrite(facts) ? facts.runId : null;
    });
  }

  /**
   * The mark as of a second ago or less, for a beginning. One that is old by then is of another run, or of a Redis that keeps less:
   * `isContinuous` says no to both.
   */
  recentMark(signal: AbortSignal): Promise<string | null> {
    const now = performance.now();
    if (this.#recent === null || now - this.#recent.at > RECENT_MS)
      this.#recent = { at: now, mark: this.continuityMark(NEVER) };
    const { mark } = this.#recent;
    mark.catch(() => (this.#recent = null));
    return obeying(mark, signal);
  }

  /** True when Redis has provably lost nothing since it gave `mark`. */
  async isContinuous(mark: string | null, signal: AbortSignal): Promise<boolean> {
    return mark !== null && (await this.continuityMark(signal)) === mark;
  }

  close(): void {
    this.#redis.disconnect();
  }

  async #ask<T>(signal: AbortSignal, question: () => Promise<T>): Promise<T> {
    const late = new AbortController();
    const stop = () => late.abort(signal.reason);
    const timer = setTimeout(() => late.abort(LATE), ANSWER_MS);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop);
    try {
      await becomesReady(this.#redis, late.signal);
      return await obeying(question(), late.signal);
    } catch (error) {
      signal.throwIfAborted();
      throw unreachable(this.#shown, error instanceof Error ? error.message : String(error));
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }
}

const Word = jsonText(Resolution);

/** What is damaged is no answer: whoever asks waits as for a Redis that is away, and nothing is guessed (lifecycle H5). */
function said<T>(schema: z.ZodType<T>, answer: unknown): T {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw new Error(`what it holds of the decision is damaged: ${problemOf(parsed.error)}`);
}

/** Resolves once the connection is usable. Rejects with the signal's reason. */
function becomesReady(redis: Redis, signal: AbortSignal): Promise<void> {
  if (redis.status === 'ready') return Promise.resolve();
  return new Promise((resolve, reject) => {
    const settle = () => {
      redis.off('ready', settle);
      signal.removeEventListener('abort', settle);
      if (signal.aborted) reject(signal.reason as Error);
      else resolve();
    };
    redis.on('ready', settle);
    signal.addEventListener('abort', settle);
    if (signal.aborted) settle();
  });
}
