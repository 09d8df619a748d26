/** The ports of a running migration on top of its lease: BullMQ, Redis and hooks behind the saga's words. */
import { CmtError, type MigrationRequest } from '@cmt/contracts';
import { runHook, thisClock } from '@cmt/host';
import {
  host,
  hosts,
  journalsOf,
  type DecisionRecord,
  type Lease,
  type LegDraft,
  type RedisConnection,
  type SeenHost,
} from '@cmt/queue';
import { standsStill, type Journals, type Peer } from '@cmt/saga';
import type { LegOrder, Ports } from './ports.ts';

export interface PortParts {
  readonly redis: RedisConnection;
  readonly lease: Lease;
  readonly decisions: DecisionRecord;
  readonly allowedHooks: 'any' | readonly string[];
  readonly name: string;
}

/** Milliseconds between tries while Redis is away. */
const AGAIN_MS = 200;

export function leasePorts({ redis, lease, decisions, allowedHooks, name }: PortParts): Ports {
  const { signal } = lease;
  return {
    now: () => thisClock.now(),
    wait: (ms, stop) => thisClock.wait(ms, stop),
    lookUp: async (request) => ({
      ...(await lookUp(redis, request)),
      continuityMark: await untilAnswered(signal, () => decisions.continuityMark(signal)),
    }),
    dispatch: (order, stop) =>
      lease.dispatch(draftOf(order), { ...order.patience, limitMs: order.limitMs }, stop),
    runHook: (hook, context, stop) =>
      runHook({ hook, context, allowed: allowedHooks, host: name, signal: AbortSignal.any([signal, stop]) }),
    settle: (epoch, vote, stop) =>
      untilAnswered(AbortSignal.any([signal, stop]), () =>
        decisions.settle(lease.migration, epoch, vote, signal),
      ),
    continuity: (mark, stop) => untilAnswered(stop, () => decisions.isContinuous(mark, signal)),
    resolve: (resolution, stop) =>
      untilAnswered(AbortSignal.any([signal, stop]), () =>
        decisions.resolve(lease.migration, resolution, signal),
      ),
    save: async (saga, report) => {
      lease.standsStill = standsStill(saga);
      await lease.save(saga, report);
    },
    onCancel: (asked) => onAbort(lease.cancelled, (reason) => asked(String(reason))),
    tell: (kind, text, step) => {
      // States are told by `save`, in the same write.
      if (kind !== 'state') void lease.tell({ kind, text, ...(step ? { step } : {}) }).catch(() => undefined);
    },
  };
}

const draftOf = ({ task, host, epoch, try: attempt, calls }: LegOrder): LegDraft => ({
  ...{ task, host, epoch, try: attempt },
  calls: [...calls],
});

async function lookUp(
  redis: RedisConnection,
  request: MigrationRequest,
): Promise<{ source: Peer; target: Peer; journals: Journals }> {
  if (request.source === request.target) throw new CmtError('SAME_HOST', { host: request.source });
  const [source, target] = [await host(redis, request.source), await host(redis, request.target)];
  for (const seen of [source, target])
    if (seen.state === 'offline') throw new CmtError('HOST_UNREACHABLE', { host: seen.name });
  const journals = journalsOf([source, target], request);
  return { source: peerOf(source), target: peerOf(target), journals };
}

/** What the hosts of a migration announce of it. */
export const announcedJournals = async (
  redis: RedisConnection,
  request: MigrationRequest,
): Promise<Journals> => journalsOf(await hosts(redis), request);

const peerOf = ({ record }: SeenHost): Peer => ({ endpoint: record.endpoint });

/** Asks until Redis answers: a decision is never guessed (lifecycle H5). */
async function untilAnswered<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof CmtError)) throw error;
      await thisClock.wait(AGAIN_MS, signal);
    }
  }
}

function onAbort(signal: AbortSignal, called: (reason: unknown) => void): () => void {
  const listener = () => called(signal.reason);
  if (signal.aborted) queueMicrotask(listener);
  else signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}
