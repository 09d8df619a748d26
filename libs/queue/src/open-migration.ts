/**
 * From a job of the migrations queue to what is to be done: a request to be worked on, or an operator's word about one.
 *
 * INVARIANTS
 * - Nothing is done for a job that was not signed, is a copy, or is too old to be told from a replay; only an order to recover
 *   needs no signature, for it leads nowhere but back, or to the end of what was decided (recovery.ts).
 * - An order is obeyed while its migration stands as the operator saw it, and goes on being worked on after that; an
 *   order that has been brought to its end is never obeyed again.
 */
import {
  CmtError,
  FLEET_QUEUE,
  FleetOrder,
  isEnd,
  MIGRATIONS_QUEUE,
  MigrationRequest,
  ResolveOrder,
  type MigrationId,
} from '@cmt/contracts';
import type { Job } from 'bullmq';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { MIGRATION_FRESH_MS, ORDER_FRESH_MS, staleness } from './freshness.ts';
import type { Ledger } from './ledger.ts';
import { FleetJob } from './fleet-job.ts';
import { readOrder } from './migration-job.ts';
import { RecoveryOrder, requestOfOrder } from './recovery.ts';
import { isJobOf, refuseUnlessWaiting } from './resolve.ts';
import { openSealed, type Opener } from './seal.ts';
import { hasState, knownSaga, statusOf, type StoredSaga } from './store.ts';

/** What this machine remembers of a migration, or of an order, that has ended here. */
export const EndedNote = z.object({
  endedAt: z.number(),
  /** An operator's word has set it going again. */
  reopened: z.boolean().optional(),
});
export type EndedNote = z.infer<typeof EndedNote>;

/** Where a request is from: signed by somebody trusted, or put together from what the journals of both hosts say. */
export type Origin = 'asked' | 'journals';

export interface Opened {
  readonly request: MigrationRequest;
  readonly origin: Origin;
  /** The operator's word to begin with; null when there is none, or when it was begun with before. */
  readonly order: ResolveOrder | null;
  /** There is nothing left to do. */
  readonly isOver?: boolean;
}

export interface Desk {
  readonly redis: Redis;
  readonly opener: Opener;
  readonly ended: Ledger<EndedNote>;
  /** Whether a migration is one that a signed order asks for. */
  readonly isUnderOrder: (request: MigrationRequest, order: FleetOrder) => boolean;
}

const Kind = z.looseObject({ kind: z.literal('resolve') });

/** Told apart by their kind, so that one look at the signature is enough. */
const schemaOf = (value: unknown): z.ZodType<ResolveOrder | MigrationRequest> =>
  Kind.safeParse(value).success ? ResolveOrder : MigrationRequest;

/** Name of an order in the ledger. */
export const orderNote = ({ nonce }: ResolveOrder): string => `order_${nonce}`;

/** @throws {CmtError} REQUEST_FORGED, REQUEST_NEWER, REQUEST_INVALID; for an order also NOT_STUCK, NOT_A_SIDE, MIGRATION_UNKNOWN, MIGRATION_UNREADABLE */
export async function openMigration(desk: Desk, job: Job<unknown>): Promise<Opened> {
  const recovery = RecoveryOrder.safeParse(job.data);
  if (recovery.success) return openRecovery(desk, recovery.data, job.id);
  const child = FleetJob.safeParse(job.data);
  if (child.success) return await openRequest(desk, await openUnder(desk, child.data), job.id);
  const signed = await openSealed(MIGRATIONS_QUEUE, job.data, schemaOf, desk.opener);
  if ('kind' in signed) return await openOrder(desk, signed, job.id);
  return await openRequest(desk, signed, job.id);
}

/** A migration that no client has signed, but the order whose part it is. @throws {CmtError} REQUEST_FORGED */
async function openUnder(desk: Desk, { under, request }: FleetJob): Promise<MigrationRequest> {
  const order = await openSealed(FLEET_QUEUE, under, FleetOrder, desk.opener);
  if (!desk.isUnderOrder(request, order)) throw forged(desk, `order ${order.id} does not ask for it`);
  return request;
}

/** What hosts still have in their journals is taken up again, whatever is remembered here. */
function openRecovery(desk: Desk, order: RecoveryOrder, jobId: string | undefined): Opened {
  if (!isJobOf(jobId, order.recover)) throw forged(desk, `it is a copy of migration ${order.recover}`);
  return { request: requestOfOrder(order), origin: 'journals', order: null };
}

async function openRequest(
  desk: Desk,
  request: MigrationRequest,
  jobId: string | undefined,
): Promise<Opened> {
  if (!isJobOf(jobId, request.id)) throw forged(desk, `it is a copy of migration ${request.id}`);
  const note = await desk.ended.find(request.id);
  const hasEnded = note !== null && note.reopened !== true;
  const stale = staleness(request.requestedAt, MIGRATION_FRESH_MS, Date.now());
  const status = hasEnded ? await statusOf(desk.redis, request.id) : null;
  if (hasEnded && !(status !== null && isEnd(status))) throw forged(desk, 'this migration has ended');
  if (stale !== null && !(await hasState(desk.redis, request.id))) throw forged(desk, stale);
  return { request, origin: 'asked', order: null, isOver: hasEnded };
}

async function openOrder(desk: Desk, order: ResolveOrder, jobId: string | undefined): Promise<Opened> {
  const { migration: id, fenced, version } = order;
  if (!isJobOf(jobId, id)) throw forged(desk, `it is an order about migration ${id}`);
  if ((await desk.ended.find(orderNote(order))) !== null) throw forged(desk, 'this order was obeyed before');
  refuseStale(desk, order.issuedAt, ORDER_FRESH_MS);
  const saga = await knownSaga(desk.redis, id);
  const known = await registered(desk, id);
  // Begun with by a coordinator that has died since: the migration itself says how far it is.
  if (!isEnd(saga.report.state)) return { ...known, order: null };
  refuseUnlessWaiting(saga.report, fenced);
  refuseOtherStandstill(saga, version);
  return { ...known, order };
}

/** The request as it was signed when the migration was asked for, or as far as its hosts' journals kept one. */
async function registered(desk: Desk, id: MigrationId): Promise<Pick<Opened, 'request' | 'origin'>> {
  const order = await readOrder(desk.redis, id);
  const recovery = RecoveryOrder.safeParse(order);
  if (recovery.success) return { request: requestOfOrder(recovery.data), origin: 'journals' };
  const child = FleetJob.safeParse(order);
  const request = child.success
    ? await openUnder(desk, child.data)
    : await openSealed(MIGRATIONS_QUEUE, order, MigrationRequest, desk.opener);
  if (request.id !== id) throw forged(desk, `its migration is registered as ${request.id}`);
  return { request, origin: 'asked' };
}

function refuseOtherStandstill({ report, version: now }: StoredSaga, seen: number): void {
  if (now !== seen)
    throw new CmtError('NOT_STUCK', { migration: report.id, reason: 'it has moved on since you looked' });
}

function refuseStale(desk: Desk, signedAt: number, freshMs: number): void {
  const stale = staleness(signedAt, freshMs, Date.now());
  if (stale !== null) throw forged(desk, stale);
}

const forged = ({ opener }: Desk, problem: string): CmtError =>
  new CmtError('REQUEST_FORGED', { queue: MIGRATIONS_QUEUE, host: opener.host, problem });
