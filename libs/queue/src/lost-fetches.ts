/**
 * Jobs that this very worker has fetched and never got: Redis carried the order out, and the answer went to a connection that was
 * dead by then. Nobody renews their locks; left alone they come back when those have run out.
 *
 * INVARIANT: a job is given back only when its token was seen twice, and no work on it was begun in between. Fetch, claim and look
 * share one connection, so a fetch that was answered is being worked on by the second look.
 *
 * A connection that died is told of; then it is looked often. In between, seldom: for what nobody has thought of.
 */
import { PREFIX } from '@cmt/contracts';
import type { Redis } from 'ioredis';

/** Milliseconds between turns, turns with a look after a connection has died, and between looks when none has. */
export const LOOK_MS = 1_500;
const SUSPICIOUS_TURNS = 4;
const CALM_TURNS = 20;
const LOOKED_AT = 200;

export interface Fetcher {
  readonly redis: Redis;
  readonly queueName: string;
  /** What the tokens of this worker begin with. */
  readonly workerId: string;
  readonly isRunning: (jobId: string) => boolean;
}

export interface LostFetch {
  readonly jobId: string;
  readonly token: string;
}

export class LostFetches {
  readonly #fetcher: Fetcher;
  #seen = new Map<string, string>();
  #turn = 0;
  #suspicious = 0;

  constructor(fetcher: Fetcher) {
    this.#fetcher = fetcher;
  }

  /** The connection has died. */
  suspect(): void {
    this.#suspicious = SUSPICIOUS_TURNS;
  }

  /** Whether this turn wants a look. What was seen once is looked at again at once. */
  isDue(): boolean {
    this.#turn += 1;
    if (this.#fetcher.redis.status === 'ready' && this.#suspicious > 0) this.#suspicious -= 1;
    else if (this.#seen.size === 0 && this.#turn % CALM_TURNS !== 0) return false;
    return true;
  }

  /** Those that were seen the last time, too. */
  async look(): Promise<LostFetch[]> {
    const { redis, queueName, workerId, isRunning } = this.#fetcher;
    const base = `${PREFIX}:${queueName}`;
    const active = await redis.lrange(`${base}:active`, 0, LOOKED_AT - 1);
    const idle = active.filter((id) => !isRunning(id));
    const tokens = idle.length === 0 ? [] : await redis.mget(idle.map((id) => `${base}:${id}:lock`));
    const now = new Map<string, string>();
    idle.forEach((id, at) => {
      const token = tokens[at];
      if (token?.startsWith(`${workerId}:`) && !isRunning(id)) now.set(id, token);
    });
    const before = this.#seen;
    this.#seen = now;
    return [...now]
      .filter(([id, token]) => before.get(id) === token)
      .map(([jobId, token]) => ({ jobId, token }));
  }
}
