/**
 * Joins host and queue: settles the journal, announces the host, takes its legs.
 *
 * INVARIANT: no leg is taken before the journal is settled.
 */
import { join } from 'node:path';
import type { StepName, WorkerConfig } from '@cmt/contracts';
import { PEER_LOOK_MS, tune, tunable, type Health } from '@cmt/host';
import {
  announce,
  consumeLegs,
  DecisionRecord,
  loadKeyPair,
  openConnection,
  raiseAlarm,
  tell,
  trustIn,
  type RedisAddress,
} from '@cmt/queue';
import type { Logger } from 'pino';
import { Desk } from './desk.ts';
import { hostRecords } from './host-record.ts';
import type { Host } from './host.ts';
import { shutDown, type ShutdownLimits } from './shutdown.ts';

export interface QueueParts {
  readonly config: WorkerConfig;
  readonly address: RedisAddress;
  readonly host: Host;
  readonly logger: Logger;
}

export interface QueueService {
  health(): Health;
  /** Brings to its end what a client has left that is gone for good. */
  settleAlone(): Promise<void>;
  /** Brings the legs under way to their end or hands them back (see shutdown.ts). */
  close(limits?: ShutdownLimits): Promise<void>;
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
    raiseAlarm: (migration, text) =>
      void raiseAlarm(producer, migration, config.name, text).catch(() => undefined),
    send: (...events) => void tell(producer, ...events).catch(() => undefined),
  });

  await desk.settleJournal();
  await host.receiver.answerWith(desk.answers);
  const looks = [
    lookRegularly(() => desk.settleFencedSides(), FENCED_LOOK_MS, logger),
    lookRegularly(() => desk.settleWithPeers(), PEER_LOOK_MS, logger),
  ];
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
  consumer.onTuned((migration, rates) => tune(migration, rates, host), tunable(host));
  return {
    settleAlone: () => desk.settleAlone(),
    health: () => ({
      ok: worker.status === 'ready',
      ...{ host: config.name, redis: worker.status, legs: desk.underWay() },
    }),
    close: async (limits) => {
      looks.forEach(clearInterval);
      await announcer.close();
      await shutDown(
        { host: config.name, consumer, standingStill: () => desk.standingStill(), logger },
        limits,
      );
      decisions.close();
      producer.disconnect();
      worker.disconnect();
    },
  };
}

/** Milliseconds between looks for an operator's word about this host: one that was cut off comes back without a start. */
const FENCED_LOOK_MS = 5_000;

/** Looks again and again, one look at a time; one that fails is tried again. */
function lookRegularly(look: () => Promise<void>, everyMs: number, logger: Logger): NodeJS.Timeout {
  let under = false;
  return setInterval(() => {
    if (under) return;
    under = true;
    look()
      .catch((error: unknown) => logger.warn({ err: error }, 'what is open here could not be looked at'))
      .finally(() => (under = false));
  }, everyMs);
}
