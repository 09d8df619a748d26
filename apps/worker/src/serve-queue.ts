/**
 * Joins host and queue: settles the journal, announces the host, takes its legs.
 *
 * INVARIANT: no leg is taken before the journal is settled.
 */
import { join } from 'node:path';
import type { StepName, WorkerConfig } from '@cmt/contracts';
import type { Health } from '@cmt/host';
import {
  announce,
  consumeLegs,
  DecisionRecord,
  loadKeyPair,
  openConnection,
  tell,
  trustIn,
  type RedisAddress,
} from '@cmt/queue';
import type { Logger } from 'pino';
import { Desk } from './desk.ts';
import { hostRecords } from './host-record.ts';
import type { Host } from './host.ts';

export interface QueueParts {
  readonly config: WorkerConfig;
  readonly address: RedisAddress;
  readonly host: Host;
  readonly logger: Logger;
}

export interface QueueService {
  health(): Health;
  /** Takes no more legs; those under way get `graceMs`, then they are stopped and given back. */
  close(graceMs: number): Promise<void>;
}

/** After these `cmt ps` would show what is no longer so: two hosts with the same container. None is inside the blackout. */
const CHANGE_CONTAINERS: readonly StepName[] = ['confirm', 'retire', 'clean', 'discard', 'resume'];

/** Settles what the journal says is open, then works until closed. */
export async function serveQueue({ config, address, host, logger }: QueueParts): Promise<QueueService> {
  const worker = openConnection(address, 'worker', logger);
  const producer = openConnection(address, 'producer', logger);
  const decisions = new DecisionRecord(address, logger);
  const desk = new Desk({
    ...{ host, decisions, logger },
    send: (event) => void tell(producer, event).catch(() => undefined),
  });

  await desk.settleJournal();
  const records = hostRecords(host, () => desk.isBusy, logger);
  const announcer = announce(producer, config.name, () => records.current(), logger);
  const trust = trustIn(await loadKeyPair(config.stateDir), config.trustedKeysDir, logger);
  const consumer = consumeLegs(
    {
      ...{ redis: worker, host: config.name, concurrency: config.concurrency, trust, logger },
      ledgerDir: join(config.stateDir, 'legs'),
    },
    async (leg, lease) => {
      const result = await desk.run(leg, lease);
      if (leg.calls.some(({ step }) => CHANGE_CONTAINERS.includes(step))) {
        records.containersChanged();
        void announcer.now();
      }
      return result;
    },
  );
  return {
    health: () => ({
      ok: worker.status === 'ready',
      ...{ host: config.name, redis: worker.status, legs: desk.underWay() },
    }),
    close: async (graceMs) => {
      await announcer.close();
      await consumer.close(graceMs);
      decisions.close();
      producer.disconnect();
      worker.disconnect();
    },
  };
}
