/**
 * Schedules that are over. What was signed once could be put back into Redis by whoever can write there; so a removal is signed as well,
 * and each coordinator keeps it on its own disk.
 *
 * INVARIANTS
 * - A removal that a coordinator has seen holds for ever, whatever becomes of Redis.
 * - It is about the schedules that were made before it; one that is made later under the same name is none of them.
 */
import { keys, ORDERS_QUEUE, RemoveScheduleOrder, type ScheduleName } from '@cmt/contracts';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { z } from 'zod';
import { sendControl } from './bus.ts';
import { reaching } from './connection.ts';
import { jsonOrText, jsonText } from './json-text.ts';
import type { KeyPair } from './key-pair.ts';
import { Ledger } from './ledger.ts';
import { openSealed, seal, type Opener } from './seal.ts';

/** A client's part: tells coordinators that schedules of a name that were made until `upTo` are over. */
export async function declareOver(
  redis: Redis,
  name: ScheduleName,
  upTo: number,
  signingKeys: KeyPair,
): Promise<void> {
  const order: RemoveScheduleOrder = { v: 1, kind: 'remove-schedule', name, upTo };
  const sealed = JSON.stringify(seal(ORDERS_QUEUE, order, signingKeys));
  await reaching(redis, redis.hset(keys.removedSchedules, name, sealed));
  await reaching(redis, sendControl(redis, { kind: 'schedules' }));
}

const Removal = jsonText(z.object({ body: jsonText(RemoveScheduleOrder) }));

/** What a client has to date a new schedule after; nobody has looked at the signature. */
export async function overUpTo(redis: Redis, name: ScheduleName): Promise<number> {
  const text = await reaching(redis, redis.hget(keys.removedSchedules, name));
  return Removal.safeParse(text).data?.body.upTo ?? 0;
}

const Over = z.object({ upTo: z.number() });

export interface RemovedSchedulesOptions {
  readonly redis: Redis;
  readonly opener: Opener;
  readonly logger: Logger;
  /** Directory of its own below the state directory. */
  readonly dir: string;
}

/** A coordinator's part. */
export class RemovedSchedules {
  readonly #options: RemovedSchedulesOptions;
  readonly #over: Ledger<z.infer<typeof Over>>;
  /** As they were read last. */
  readonly #read = new Map<string, string>();

  constructor(options: RemovedSchedulesOptions) {
    this.#options = options;
    this.#over = new Ledger(options.dir, Over, Infinity);
  }

  /** Whether a schedule of that name, made at that time, is over; looks first whether there is news. */
  async has(name: ScheduleName, issuedAt: number): Promise<boolean> {
    await this.look();
    return issuedAt <= (await this.#upTo(name));
  }

  /** Takes over what was removed since it looked last. */
  async look(): Promise<void> {
    const stored = await this.#options.redis.hgetall(keys.removedSchedules);
    for (const [name, text] of Object.entries(stored)) {
      if (this.#read.get(name) === text) continue;
      await this.#takeOver(name, text);
      this.#read.set(name, text);
    }
  }

  async #takeOver(name: string, text: string): Promise<void> {
    const { opener, logger } = this.#options;
    try {
      const order = await openSealed(ORDERS_QUEUE, jsonOrText(text), RemoveScheduleOrder, opener);
      if (order.upTo > (await this.#upTo(order.name)))
        await this.#over.record(order.name, { upTo: order.upTo });
    } catch (error) {
      logger.warn({ err: error, schedule: name }, 'the removal of a schedule is not obeyed');
    }
  }

  #upTo = async (name: ScheduleName): Promise<number> => (await this.#over.find(name))?.upTo ?? -Infinity;
}
