/**
 * Finds migrations that BullMQ has let go of although they have not ended, and hands them out again:
 * jobs marked failed (a stall limit never calls the processor), and registered ones without a job
 * (a client that died in between, a queue that somebody cleaned by hand). Those that Redis has forgotten altogether: rebuild.ts.
 */
import { keys, MIGRATIONS_QUEUE, type MigrationId, type Priority } from '@cmt/contracts';
import type { Job, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { addMigration, openMigrationsQueue, readOrder } from './migration-job.ts';
import { migrationJobKey, migrationOf } from './migration-key.ts';
import { Rebuilder } from './rebuild.ts';
import { runScript } from './script.ts';
import { readSaga } from './store.ts';
import { removeUnreadable } from './unreadable.ts';

/** Milliseconds between rounds, and that a client may take from registering to queueing. */
const ROUND_MS = 5_000;
const SUBMIT_MS = 10_000;
const LOOKED_AT = 500;

/** Open migrations that were asked for before a time and have no job. What follows the cursor is for the next round. */
const WITHOUT_JOB = `
local answer = redis.call('SSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local lost = {}
for _, id in ipairs(answer[2]) do
  local askedAt = redis.call('ZSCORE', KEYS[2], id)
  if tonumber(askedAt or '0') < tonumber(ARGV[3]) and redis.call('EXISTS', ARGV[4] .. id) == 0 then lost[#lost + 1] = id end
end
return { answer[1], lost }
`;

export class Reconciler {
  readonly #redis: Redis;
  readonly #queue: Queue;
  readonly #logger: Logger;
  readonly #rebuilder: Rebuilder;
  readonly #timer: NodeJS.Timeout;
  #busy = false;
  #cursor = '0';

  constructor(redis: Redis, logger: Logger) {
    this.#redis = redis;
    this.#logger = logger;
    this.#queue = openMigrationsQueue(redis);
    this.#rebuilder = new Rebuilder(redis, this.#queue, logger);
    this.#timer = setInterval(() => void this.#round(), ROUND_MS);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#rebuilder.close();
  }

  async #round(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      await this.#retryFailed();
      await this.#requeueLost();
    } catch (error) {
      this.#logger.debug({ err: error }, 'a round of the reconciler failed');
    } finally {
      this.#busy = false;
    }
  }

  async #retryFailed(): Promise<void> {
    for (const job of await this.#failed()) {
      const about = { job: job.id, migration: migrationOf(job.id ?? '') };
      this.#logger.warn({ ...about, reason: job.failedReason }, 'taking a failed job up again');
      // Another coordinator may have been quicker.
      await job.retry('failed').catch(() => undefined);
    }
  }

  /** BullMQ reads all of them or, where one is damaged, none. */
  async #failed(): Promise<Job[]> {
    const failed = () => this.#queue.getFailed(0, LOOKED_AT - 1);
    return await failed().catch(async (error: unknown) => {
      if (!(error instanceof SyntaxError)) throw error;
      await removeUnreadable(this.#redis, MIGRATIONS_QUEUE, this.#logger);
      return await failed();
    });
  }

  async #requeueLost(): Promise<void> {
    for (const id of await this.#withoutJob()) {
      const { priority } = (await readSaga(this.#redis, id))?.report.request ?? {};
      await this.#requeue(id, priority);
    }
  }

  /** Some of the open ones in each round, all of a small fleet's: thousands may wait, and each has its job. */
  async #withoutJob(): Promise<MigrationId[]> {
    const askedBefore = Date.now() - SUBMIT_MS;
    const [cursor, lost] = (await runScript(
      this.#redis,
      WITHOUT_JOB,
      [keys.open, keys.sagas],
      [this.#cursor, LOOKED_AT, askedBefore, migrationJobKey('')],
    )) as [string, MigrationId[]];
    this.#cursor = cursor;
    return lost;
  }

  async #requeue(id: MigrationId, priority?: Priority): Promise<void> {
    const order = await readOrder(this.#redis, id);
    if (order === null) return;
    this.#logger.warn({ migration: id }, 'its job had vanished; queueing it again');
    await addMigration(this.#queue, id, order, priority);
  }
}
