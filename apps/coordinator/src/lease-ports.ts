/** The ports of a running migration on top of its lease: BullMQ, Redis and hooks behind the saga's words. */
import { CmtError, type MigrationRequest } from '@cmt/contracts';
import { runHook, thisClock } from '@cmt/host';
import {
  hosts,
  hostsNamed,
  journalsOf,
  type DecisionRecord,
  type Lease,
  type LegDraft,
  type LegName,
  type RedisConnection,
  type SeenHost,
} from '@cmt/queue';
import {
  decide,
  placedAt,
  standsStill,
  type Journals,
  type Peer,
  type Placement,
  type Saga,
} from '@cmt/saga';
import { findTarget, refuseDrained, takePlaces } from './placing.ts';
import type { LegOrder, Ports } from './ports.ts';

export interface PortParts {
  readonly redis: RedisConnection;
  readonly lease: Lease;
  readonly decisions: DecisionRecord;
  readonly allowedHooks: 'any' | readonly string[];
  readonly name: string;
  /** Told of what was stored. */
  readonly saved: (saga: Saga) => void;
}

/** Milliseconds between tries while Redis is away. */
const AGAIN_MS = 200;

export function leasePorts({ redis, lease, decisions, allowedHooks, name, saved }: PortParts): Ports {
  const { signal } = lease;
  return {
    now: () => thisClock.now(),
    wait: (ms, stop) => thisClock.wait(ms, stop),
    lookUp: async (saga) => ({
      ...(await lookUp(redis, lease, saga)),
      continuityMark: await untilAnswered(signal, () => decisions.recentMark(signal)),
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
      await lease.save(saga, report, legsNow(saga));
      saved(saga);
    },
    onCancel: (asked) => onAbort(lease.cancelled, (reason) => asked(String(reason))),
    onTuned: (changed) => lease.onTuned(changed),
    tell: (kind, text, step) => {
      // States are told by `save`, in the same write.
      if (kind !== 'state') void lease.tell({ kind, text, ...(step ? { step } : {}) }).catch(() => undefined);
    },
  };
}

/** Legs that the coordinator asks for as soon as this state is stored. */
const legsNow = (saga: Saga): LegName[] =>
  decide(saga).flatMap((command) =>
    command.kind === 'leg' && command.notBefore <= thisClock.now()
      ? [{ host: command.host, task: command.task }]
      : [],
  );

const draftOf = ({ task, host, epoch, try: attempt, calls }: LegOrder): LegDraft => ({
  ...{ task, host, epoch, try: attempt },
  calls: [...calls],
});

async function lookUp(
  redis: RedisConnection,
  lease: Lease,
  asked: Saga,
): Promise<{ source: Peer; target: Peer; journals: Journals; placed?: Placement }> {
  const placed = asked.request.place === undefined ? null : await place(redis, asked, await hosts(redis));
  const saga = placed === null ? asked : placedAt(asked, placed);
  const { request } = saga;
  if (request.source === request.target) throw new CmtError('SAME_HOST', { host: request.source });
  // These two alone: what is asked for every migration must not grow with the fleet.
  const [source, target] = await hostsNamed(redis, request.source, request.target);
  for (const { name, state } of [source, target])
    if (state === 'offline') throw new CmtError('HOST_UNREACHABLE', { host: name });
  const journals = journalsOf([source, target], request);
  const isNew = journals.source === null && journals.target === null;
  if (isNew) await refuseDrained(redis, request.target);
  if (isNew && !request.options.validateOnly) await takePlaces(redis, lease, saga, source);
  const peers = { source: peerOf(source), target: peerOf(target), journals };
  return placed === null ? peers : { ...peers, placed };
}

/** A migration that its hosts remember and Redis does not has its target already. */
async function place(redis: RedisConnection, saga: Saga, seen: readonly SeenHost[]): Promise<Placement> {
  const { id, source } = saga.request;
  const known = seen
    .flatMap(({ name, record }) => (record.journal ?? []).map((note) => ({ name, note })))
    .filter(({ note }) => note.migration === id && note.peer !== '')
    .map(({ name, note }) => (note.side === 'target' ? name : note.peer))
    .find((name) => name !== source);
  if (known !== undefined) return { host: known, why: `the journals of its hosts name ${known}` };
  return await findTarget(redis, saga, seen);
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
