/**
 * A drain from look to look: what has become of its moves, and which are to be begun. Pure.
 *
 * INVARIANTS
 * - A move's migration has its id before it is asked for: a coordinator that takes a drain over asks for the very same ones.
 * - No more than `parallel` moves are under way; after the deadline, or once the host is open again, none is begun.
 * - What ended otherwise than by leaving keeps its reason.
 */
import {
  isEnd,
  MigrationOptions,
  reactionTo,
  UNPLACED,
  type ContainerSummary,
  type DrainMove,
  type DrainReport,
  type Failure,
  type FleetOrder,
  type MigrationReport,
  type MigrationRequest,
} from '@cmt/contracts';

/** What can be seen of a drain at one moment. */
export interface DrainView {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** What the host announces; null while it says nothing. */
  readonly containers: readonly ContainerSummary[] | null;
  /** Its containers that are part of a migration of somebody else. */
  readonly busy: readonly string[];
  /** How the moves' migrations stand, by id. */
  readonly migrations: Readonly<Record<string, Pick<MigrationReport, 'state' | 'to' | 'failure'>>>;
  /** The order still holds: the host was not opened again. */
  readonly holds: boolean;
}

/** Times that a move is tried whose failure may pass. */
const TRIES = 3;

/** A drain that nobody has begun. */
export const beginDrain = (order: FleetOrder, now: number): DrainReport => ({
  ...{ v: 1, id: order.id, kind: order.kind, host: order.host, state: 'queued', parallel: order.parallel },
  ...{ startedAt: now, deadlineAt: order.deadlineMs === null ? null : now + order.deadlineMs, endedAt: null },
  failure: null,
  moves: order.moves.map(({ container, runtime, from }) =>
    moveOf({ container, runtime, from, to: order.host }),
  ),
});

const moveOf = (
  move: Pick<DrainMove, 'container' | 'runtime' | 'from' | 'to'> & Partial<DrainMove>,
): DrainMove => ({
  ...{ memory: null, state: 'waiting', migration: null, tries: 0, failure: null },
  ...move,
});

/** The drain after a look. Moves in state `moving` whose migration is not known are to be asked for. */
export function advanceDrain(before: DrainReport, view: DrainView): DrainReport {
  const settled = before.moves.map((move) => settle(move, view));
  const present = before.kind === 'drain' ? withPresent(before, settled, view) : settled;
  const moves = begun({ ...before, moves: present.map((move) => lapse(move, before, view)) });
  const over = moves.every(({ state }) => state === 'left' || state === 'stays');
  const known = before.kind === 'bring-back' || view.containers !== null;
  if (!over || !known) return { ...before, state: 'running', moves };
  return { ...before, state: endOf(moves), moves, endedAt: view.now };
}

function endOf(moves: readonly DrainMove[]): DrainReport['state'] {
  if (moves.some(({ failure }) => failure?.code === 'DRAIN_STOPPED')) return 'stopped';
  return moves.some(({ state }) => state === 'stays') ? 'incomplete' : 'done';
}

/** A move under way after a look at its migration. */
function settle(move: DrainMove, { migrations }: DrainView): DrainMove {
  if (move.state !== 'moving' || move.migration === null) return move;
  const migration = migrations[move.migration];
  if (migration === undefined) return move;
  const { state, failure } = migration;
  const to = migration.to === UNPLACED ? null : migration.to;
  if (!isEnd(state)) return { ...move, to };
  if (state === 'done') return { ...move, to, state: 'left', failure: null };
  const again = failure !== null && mayPass(failure) && state !== 'needs-operator' && move.tries < TRIES;
  return again ? { ...move, state: 'waiting', failure } : { ...move, to, state: 'stays', failure };
}

const mayPass = (failure: Failure): boolean =>
  failure.code === 'CONTAINER_BUSY' || failure.code === 'QUEUE_FULL' || reactionTo(failure) === 'retry';

/** Containers that came to the host since are added, those that went by themselves are let go of. */
function withPresent(before: DrainReport, moves: readonly DrainMove[], view: DrainView): DrainMove[] {
  const { containers, busy } = view;
  if (containers === null) return [...moves];
  const isMove = (container: ContainerSummary) => (move: DrainMove) =>
    move.container === container.id && move.runtime === container.runtime;
  const kept = moves.filter(
    (move) => move.state !== 'waiting' || containers.some((one) => isMove(one)(move)),
  );
  const added = containers
    .filter((container) => !kept.some(isMove(container)))
    .map((container) => moveFrom(before.host, container, busy));
  return [...kept, ...added];
}

function moveFrom(host: string, container: ContainerSummary, busy: readonly string[]): DrainMove {
  const { id, runtime, memory = null, status } = container;
  const move = moveOf({ container: id, runtime, from: host, to: null, memory });
  if (status === 'running' || busy.includes(id)) return move;
  return {
    ...move,
    state: 'stays',
    failure: { code: 'CONTAINER_NOT_RUNNING', details: { container: id, host, status } },
  };
}

/** What waits too long stays. */
function lapse(move: DrainMove, { host, deadlineAt }: DrainReport, { holds, now }: DrainView): DrainMove {
  if (move.state !== 'waiting') return move;
  const details = { host, container: move.container };
  if (!holds) return { ...move, state: 'stays', failure: { code: 'DRAIN_STOPPED', details } };
  if (deadlineAt === null || now <= deadlineAt) return move;
  return { ...move, state: 'stays', failure: move.failure ?? { code: 'DRAIN_LATE', details } };
}

/** As many as may be under way are, those with the largest risk first. */
function begun({ id, parallel, moves }: DrainReport): DrainMove[] {
  let free = parallel - moves.filter(({ state }) => state === 'moving').length;
  let asked = moves.reduce((sum, { tries }) => sum + tries, 0);
  const begin = new Map<DrainMove, DrainMove>();
  for (const move of byRisk(moves.filter(({ state }) => state === 'waiting'))) {
    if (free <= 0) break;
    free -= 1;
    asked += 1;
    begin.set(move, { ...move, state: 'moving', migration: `${id}-${asked}`, tries: move.tries + 1 });
  }
  return moves.map((move) => begin.get(move) ?? move);
}

/**
 * The risk of a move grows with what it has to carry: it takes longest, and is the hardest to find room for. What nobody could measure
 * comes first; what was tried before comes last.
 */
const byRisk = (moves: readonly DrainMove[]): DrainMove[] =>
  [...moves].sort(
    (a, b) => a.tries - b.tries || sizeOf(b) - sizeOf(a) || a.container.localeCompare(b.container),
  );

/** What is asked for to make a move. */
export const requestOfMove = (
  order: FleetOrder,
  { container, runtime, from, migration }: DrainMove,
): MigrationRequest => ({
  ...{ v: 1, id: migration ?? order.id, container, runtime, source: from, priority: order.priority },
  ...(order.kind === 'bring-back'
    ? { target: order.host }
    : { target: UNPLACED, place: { labels: order.labels, avoid: [] } }),
  options: MigrationOptions.parse({ force: order.force }),
  requestedAt: order.requestedAt,
});

/** Finite, so that two unknown ones can be compared. */
const sizeOf = ({ memory }: DrainMove): number => memory ?? Number.MAX_SAFE_INTEGER;
