/**
 * The state from which a migration is gone on with: the stored one, a first one, or one rebuilt from the hosts' journals.
 *
 * INVARIANTS
 * - What is damaged says nothing: its hosts' journals do.
 * - What was not asked for by a signed request never goes forward: it is on its way back, or behind its decision.
 * - What a migration may do is read from its request, never from the stored state, which anybody who writes to Redis can change.
 *   One that is only tidied up asks for nothing but `clean`, which each host checks against its own journal.
 */
import { endedUnbegun, type MigrationRequest } from '@cmt/contracts';
import type { Origin } from '@cmt/queue';
import {
  canTurnBack,
  initial,
  isBehind,
  isTidying,
  perhapsBehind,
  rebuilt,
  report,
  tidied,
  type Journals,
  type Lost,
  type Saga,
} from '@cmt/saga';
import type { Ports } from './ports.ts';

export interface Found {
  readonly request: MigrationRequest;
  readonly origin: Origin;
  /** As it was stored last, or null. */
  readonly stored: Saga | 'damaged' | null;
  /** What the journals of the hosts of that request say of it. */
  readonly announced: (request: MigrationRequest) => Promise<Journals>;
}

/** The saga to go on with; one that was rebuilt is stored and told of first. */
export async function takeUp(found: Found, ports: Ports, signal: AbortSignal): Promise<Saga> {
  const { request, origin, stored, announced } = found;
  if (stored === 'damaged') return await fromJournals(found, ports);
  if (origin === 'asked') return await goOn(stored, found, ports, signal);
  if (stored !== null && (isTidying(stored) || endedBegun(stored))) return await tidyUp(stored, found, ports);
  if (stored?.rebuilt !== undefined && !canTurnBack(stored))
    return { ...stored, request: { ...request, targetBundle: stored.request.targetBundle } };
  return await rebuild(request, await announced(request), { options: true }, ports);
}

const endedBegun = ({ end, touched }: Saga): boolean =>
  end !== null && !endedUnbegun({ state: end, ...(touched ? {} : { untouched: true }) });

/** One whose source knows of no target was not begun, wherever it was to go. */
async function fromJournals({ request, origin, announced }: Found, ports: Ports): Promise<Saga> {
  const { source } = await announced(request);
  const target = request.place === undefined ? request.target : source?.peer;
  const found = target ? { ...request, target } : request;
  const journals = await announced(found);
  if (journals.source === null && journals.target === null) return initial(request, ports.now());
  return await rebuild(found, journals, { options: origin === 'journals', damaged: true }, ports);
}

/** What a signed request asked for: from its beginning, or from where it stands; where hosts have gone further, from there. */
async function goOn(stored: Saga | null, found: Found, ports: Ports, signal: AbortSignal): Promise<Saga> {
  const request = placed(found.request, stored);
  // Fields that a saga stored by an older cmt lacks begin as they would in a new one.
  const saga = { ...initial(request, ports.now()), ...stored, request };
  if (stored === null || (await ports.continuity(saga.continuityMark, signal))) return saga;
  const journals = await found.announced(request);
  return saga.end === null && isBehind(saga, journals)
    ? await rebuild(request, journals, { options: false }, ports)
    : perhapsBehind(saga);
}

async function rebuild(
  request: MigrationRequest,
  journals: Journals,
  lost: Lost,
  ports: Ports,
): Promise<Saga> {
  const saga = rebuilt(request, journals, ports.now(), lost);
  await ports.save(saga, report(saga, ports.now()));
  ports.tell('warning', saga.rebuilt?.note ?? '');
  return saga;
}

/**
 * The request with the target that was found for it. That one stands in the stored state: whoever writes to Redis can name another where
 * a request left it open, as he can by announcing a host (docs/decisions/0008).
 */
const placed = (request: MigrationRequest, stored: Saga | null): MigrationRequest =>
  request.place === undefined || stored === null ? request : { ...request, target: stored.request.target };

/** It has ended, and a host that could not be asked then still holds something of it; or it ended behind the back of its hosts. */
async function tidyUp(stored: Saga, { request, announced }: Found, ports: Ports): Promise<Saga> {
  if (isTidying(stored)) return stored;
  const journals = await announced(request);
  if (isBehind(stored, journals)) return await rebuild(request, journals, { options: true }, ports);
  const saga = tidied(stored, journals);
  if (saga !== stored) await ports.save(saga, report(saga, ports.now()));
  return saga;
}
