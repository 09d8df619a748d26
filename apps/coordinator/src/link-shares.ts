/**
 * Shares out the links of the fleet: gives each migration of this coordinator what it may take of them, whenever others begin or end.
 *
 * INVARIANTS
 * - A coordinator gives shares to its own migrations only; all coordinators find the same ones, by the same rule from the same facts.
 * - A share is an order like that of `cmt tune`, signed and kept beside the migration: who takes it over, and workers, find it there.
 * - Being told only hurries: a message that is lost costs LOOK_MS. So does one that came before the link was open.
 */
import type { MigrationId } from '@cmt/contracts';
import { hasLinkLimits, parseLimits, sharesOf } from '@cmt/fleet';
import { thisClock } from '@cmt/host';
import {
  flowsUnderWay,
  repeatTuning,
  requestTuning,
  storedLimits,
  tellFlowsChanged,
  type KeyPair,
  type RedisConnection,
} from '@cmt/queue';
import type { Logger } from 'pino';

export interface LinkSharesOptions {
  readonly redis: RedisConnection;
  /** Signs the shares. */
  readonly keys: KeyPair;
  readonly logger: Logger;
}

/** A migration of this coordinator. */
interface Own {
  readonly isSending: boolean;
  /** What it has, by its stored state: perhaps by the word of the coordinator before. */
  readonly has: number | null;
  /** What was given to it here. */
  readonly given?: number | null;
  /** It was given since the last regular look. */
  readonly isNew: boolean;
}

const shareOf = ({ given, has }: Own): number | null => (given === undefined ? has : given);

/** Milliseconds between looks of somebody who is told nothing. */
const LOOK_MS = 4_000;
/** Between looks of somebody who is told much. */
const REST_MS = 100;

export class LinkShares {
  readonly #options: LinkSharesOptions;
  readonly #own = new Map<MigrationId, Own>();
  readonly #damaged = new Set<MigrationId>();
  readonly #timer: NodeJS.Timeout;
  readonly #stop = new AbortController();
  #looking: Promise<void> | null = null;
  #again = false;
  #areLimited = false;

  constructor(options: LinkSharesOptions) {
    this.#options = options;
    this.#timer = setInterval(() => {
      this.#repeat();
      this.look();
    }, LOOK_MS);
    this.look();
  }

  /**
   * A migration of this coordinator as it was stored last: one that begins or stops sending changes what others may take.
   * @param has the share that it has
   */
  saw(id: MigrationId, isSending: boolean, has: number | null): void {
    const before = this.#own.get(id);
    this.#own.set(id, { isNew: false, ...before, isSending, has });
    if (isSending !== (before?.isSending ?? false) && this.#areLimited)
      void tellFlowsChanged(this.#options.redis).catch(() => undefined);
  }

  /** It has ended, or is another coordinator's. */
  letGo(id: MigrationId): void {
    this.#own.delete(id);
  }

  /** Looks soon; as often as it is called while it looks, once more. */
  look(): void {
    this.#again = true;
    this.#looking ??= this.#lookUntilDone().finally(() => (this.#looking = null));
  }

  /** What is under way ends with the connection. */
  close(): void {
    clearInterval(this.#timer);
    this.#stop.abort();
  }

  async #lookUntilDone(): Promise<void> {
    const { signal } = this.#stop;
    while (this.#again && !signal.aborted) {
      this.#again = false;
      await this.#lookOnce().catch((error: unknown) =>
        this.#options.logger.debug({ err: error }, 'links could not be shared out'),
      );
      await thisClock.wait(REST_MS, signal).catch(() => undefined);
    }
  }

  async #lookOnce(): Promise<void> {
    const { redis } = this.#options;
    const limits = parseLimits(await storedLimits(redis));
    this.#areLimited = hasLinkLimits(limits);
    if (!this.#areLimited && [...this.#own.values()].every((own) => shareOf(own) === null)) return;
    const flows = await flowsUnderWay(redis, (id, why) => this.#ignored(id, why));
    const shares = sharesOf(flows, limits);
    await Promise.all([...shares].map(([id, share]) => this.#give(id, share)));
  }

  /** Said once of each: it is looked at again and again. */
  #ignored(id: MigrationId, why: string): void {
    if (this.#damaged.has(id)) return;
    this.#damaged.add(id);
    this.#options.logger.warn(
      { migration: id, why },
      'what Redis holds of its own bandwidth is damaged, and ignored',
    );
  }

  async #give(id: MigrationId, share: number | null): Promise<void> {
    const own = this.#own.get(id);
    if (own === undefined || shareOf(own) === share) return;
    const { redis, keys, logger } = this.#options;
    try {
      await requestTuning(redis, { id, tuning: { share } }, keys);
      logger.debug({ migration: id, share }, 'a share of its links');
      const now = this.#own.get(id);
      if (now !== undefined) this.#own.set(id, { ...now, given: share, isNew: true });
    } catch (error) {
      // It has ended meanwhile, or Redis is away: the next look gives what is missing.
      logger.debug({ err: error, migration: id }, 'a share could not be given');
    }
  }

  #repeat(): void {
    for (const [id, own] of this.#own) {
      if (!own.isNew) continue;
      this.#own.set(id, { ...own, isNew: false });
      void repeatTuning(this.#options.redis, id).catch(() => undefined);
    }
  }
}
