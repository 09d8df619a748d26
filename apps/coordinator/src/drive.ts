/** One migration in the hands of this coordinator: taken up, driven to its end, let go. */
import { CmtError, type MigrationRequest, type ResolveOrder } from '@cmt/contracts';
import { forMigration } from '@cmt/host';
import { Postponed, type DecisionRecord, type MigrationHandler, type RedisConnection } from '@cmt/queue';
import { evolve, isSending, sagaIn, standsStill, type Saga, type SagaEvent } from '@cmt/saga';
import type { Logger } from 'pino';
import { announcedJournals, leasePorts } from './lease-ports.ts';
import type { LinkShares } from './link-shares.ts';
import { runMigration } from './run-migration.ts';
import { takeUp } from './take-up.ts';

export interface DriveParts {
  readonly redis: RedisConnection;
  readonly decisions: DecisionRecord;
  readonly shares: LinkShares;
  readonly allowedHooks: 'any' | readonly string[];
  /** Of this coordinator. */
  readonly name: string;
  readonly logger: Logger;
  /** Those that are in its hands, kept by this. */
  readonly under: Set<string>;
}

export const driveWith = (parts: DriveParts): MigrationHandler => {
  const { redis, shares, logger, under } = parts;
  return async (request, lease, origin) => {
    const log = forMigration(logger, request.id);
    under.add(request.id);
    try {
      const ports = leasePorts({
        ...{ ...parts, lease },
        saved: (saga) => shares.saw(request.id, isSending(saga), saga.tuning?.share ?? null),
      });
      const stored = sagaIn(lease.state, request);
      if (stored === 'damaged') log.warn('what Redis holds of it is damaged; its hosts are asked');
      const announced = (about: MigrationRequest) => announcedJournals(redis, about);
      const begun = await takeUp({ request, origin, stored, announced }, ports, lease.signal);
      lease.standsStill = standsStill(begun);
      // Of another coordinator before: it may be long until it is stored again.
      if (stored !== null) shares.saw(request.id, isSending(begun), begun.tuning?.share ?? null);
      const word = lease.order === null ? null : wordOf(lease.order, begun);
      log.info({ stage: begun.stage, epoch: begun.epoch, origin }, 'takes the migration');
      const ended = await runMigration(begun, ports, lease.signal, word);
      log.info({ state: ended.end, failure: ended.failure?.code }, 'the migration has ended');
    } catch (error) {
      if (error instanceof Postponed) log.debug({ reason: error.message }, 'the migration waits');
      else log.warn({ err: error }, 'lets go of the migration');
      throw error;
    } finally {
      under.delete(request.id);
      shares.letGo(request.id);
    }
  };
};

/** @throws {CmtError} NOT_STUCK when the migration does not wait for a word */
function wordOf({ fenced, migration }: ResolveOrder, saga: Saga): SagaEvent {
  const side = fenced === saga.request.source ? 'source' : 'target';
  const word = { kind: 'resolve', fenced: side, at: Date.now() } as const;
  if (evolve(saga, word) === saga)
    throw new CmtError('NOT_STUCK', { migration, reason: 'it has not come to a decision' });
  return word;
}
