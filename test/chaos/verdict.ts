/**
 * Whether a cell ended safely. Pure.
 *
 * INVARIANTS of a safe end
 * - The fault did strike, and the migration ended in a state that the catalogue of ends knows, allowed for this cell.
 * - Never did two copies run, and a copy that runs or could be let run was there all along.
 * - One exception: "lost with its host". The host of the container was rebooted, and at that moment no other host held a
 *   copy that could have run, or the container had been confirmed on the rebooted host, so that its other copy was only
 *   waiting to be retired. Then the processes died with their machine, which no migration can help; no other fault may
 *   end so, and no migration may then claim that the container runs. (A target that has all images by then restores it
 *   from them: the migration ends as done.)
 * - Another: "lost with its CRIU". A CRIU killed in the instant in which processes run instructions that it has put into them
 *   takes them with it, and only it knew what they were before. Seen dead from that instant on; docs/lifecycle.md, "Back".
 */
import type { MigrationEvent, MigrationState } from '@cmt/contracts';
import type { CopyState, Interval } from '../../apps/lab/src/demo/copies.ts';
import type { Cell } from './cells.ts';

export const LOST = 'lost with its host';
export const LOST_WITH_CRIU = 'lost with its CRIU';
/** Nobody knows of the migration any more: Redis was emptied. */
export const FORGOTTEN = 'forgotten';
type Lost = typeof LOST | typeof LOST_WITH_CRIU;
export type End = MigrationState | Lost | typeof FORGOTTEN;

/** All that was seen of one cell. */
export interface Seen {
  readonly source: string;
  readonly target: string;
  /** Milliseconds since 1970; null when it found nothing to strike. */
  readonly struckAt: number | null;
  readonly healedAt: number | null;
  readonly endedAt: number;
  /** The state of the migration, or null when it has not ended in its time. */
  readonly state: MigrationState | typeof FORGOTTEN | null;
  readonly message: string | null;
  readonly events: readonly MigrationEvent[];
  /** Of every copy, from just before the migration. */
  readonly intervals: readonly Interval[];
  readonly copies: { readonly maxRunningAtOnce: number; readonly minRunnable: number };
  /** What the client has to complain of. */
  readonly connections: readonly string[];
  /** What the ticks from inside the container say against it: gaps, or a second history. */
  readonly history: readonly string[];
  readonly leftovers: readonly string[];
  /** What broke in the check itself. */
  readonly error: string | null;
}

export interface Verdict {
  readonly end: End | null;
  readonly complaints: readonly string[];
  readonly overlap: boolean;
  readonly lost: boolean;
  /** From the end of the fault to the next thing that the migration did; null when it had ended by then. */
  readonly recoveryMs: number | null;
}

export function judge(cell: Cell, seen: Seen): Verdict {
  const overlap = seen.copies.maxRunningAtOnce > 1;
  const gone = seen.copies.minRunnable < 1;
  const excuse = gone ? excuseFor(cell, seen) : null;
  const excused = excuse !== null;
  const end = excused && !isAlive(seen) ? excuse : seen.state;
  const complaints = [
    ...(seen.error === null ? [] : [seen.error]),
    ...(seen.struckAt === null ? ['the fault never struck'] : []),
    ...(overlap ? ['two copies ran at the same time'] : []),
    ...(gone && !excused ? ['for a moment no copy could have run'] : []),
    ...endComplaints(cell, seen, end),
    ...(isLost(end) ? [] : placeComplaints(seen)),
    ...seen.history,
    ...seen.connections,
    ...seen.leftovers.map((line) => `left: ${line}`),
  ];
  return { end, complaints, overlap, lost: gone && !excused, recoveryMs: recoveryOf(seen) };
}

/**
 * Two limits, of CRIU and of TCP. A CRIU killed in the middle of a dump leaves the sockets in repair mode. One killed after its
 * gate was opened leaves a copy without life whose kernel has already acknowledged what the client sent; restored once
 * more, the container never hears of it. The processes go on in both cases, their connections need not.
 */
export const mayLoseConnections = (
  { fault, station }: Cell,
  { events, struckAt }: Pick<Seen, 'events' | 'struckAt'>,
): boolean =>
  fault === 'kill-source-criu' ||
  (fault === 'kill-target-criu' && (station.row.name === 'release' || hasBegun('release', events, struckAt)));

/** Whether a step had begun by then. On a busy machine a fault that is aimed at a row may strike in the next. */
const hasBegun = (name: string, events: readonly MigrationEvent[], then: number | null): boolean =>
  events.some(({ kind, step, at }) => kind === 'step-started' && step === name && at <= (then ?? Infinity));

/** Ends that are safe for a cell. */
export function safeEnds({ fault, station, when }: Cell): readonly End[] {
  const { row, way } = station;
  const isDecided = station.isDecided || (row.name === 'release' && when === 'after');
  const isUntouched = station.untouched || (row.name === 'prepare' && when === 'before');
  const usual: readonly End[] =
    way === 'back'
      ? ['rolled-back']
      : isDecided
        ? ['done']
        : isUntouched
          ? ['done', 'rolled-back', 'refused']
          : ['done', 'rolled-back'];
  if (fault === 'kill-source-criu') return [...usual, LOST_WITH_CRIU];
  if (fault === 'reboot-source') return isDecided ? ['done'] : ['done', LOST];
  if (fault === 'reboot-target' && (isDecided || station.mayBeDecided))
    return ['done', 'rolled-back', 'needs-operator', LOST];
  if (fault === 'empty-redis') return [...usual, 'needs-operator', FORGOTTEN];
  return usual;
}

function endComplaints(cell: Cell, { state, message, endedAt, struckAt }: Seen, end: End | null): string[] {
  const waited = Math.round((endedAt - (struckAt ?? endedAt)) / 1000);
  if (end === null) return [`it had not ended ${waited} s after the fault`];
  const safe = safeEnds(cell);
  const told = message === null ? '' : `: ${message}`;
  const wrong = safe.includes(end) ? [] : [`it ended as ${end}, expected ${safe.join(' or ')}${told}`];
  if (isLost(end) && state === 'rolled-back') wrong.push('it says that the container runs on the source');
  return wrong;
}

/** At the end exactly one copy runs, where the state says; an operator finds at least one that could. */
function placeComplaints({ state, source, target, intervals }: Seen): string[] {
  const now = statesAt(intervals, Infinity);
  const where = [...now].map(([host, copy]) => `${copy} on ${host}`).join(', ');
  const alive = [...now].filter(([, copy]) => copy !== 'absent');
  if (state === 'needs-operator' || state === FORGOTTEN || state === null)
    return alive.length > 0 ? [] : [`no copy is left: ${where}`];
  const home = state === 'done' ? target : source;
  const right = alive.length === 1 && now.get(home) === 'running';
  return right ? [] : [`expected one running copy on ${home}, seen: ${where}`];
}

const isLost = (end: End | null): end is Lost => end === LOST || end === LOST_WITH_CRIU;

function excuseFor(cell: Cell, seen: Seen): Lost | null {
  if (isLostWithHost(cell, seen)) return LOST;
  return isLostWithCriu(cell, seen) ? LOST_WITH_CRIU : null;
}

/** From the instant of the strike on nobody saw it again: one that was seen afterwards died of something else. */
const isLostWithCriu = ({ fault }: Cell, { struckAt, intervals }: Seen): boolean =>
  fault === 'kill-source-criu' &&
  struckAt !== null &&
  intervals.every(({ from, state }) => state === 'absent' || from <= struckAt);

function isLostWithHost(cell: Cell, { source, target, struckAt, intervals, events }: Seen): boolean {
  if (struckAt === null || !cell.fault.startsWith('reboot-')) return false;
  const [rebooted, other] = cell.fault === 'reboot-source' ? [source, target] : [target, source];
  const then = statesAt(intervals, struckAt);
  if ((then.get(rebooted) ?? 'absent') === 'absent') return false;
  const wasConfirmed =
    rebooted === target &&
    events.some(({ kind, step, at }) => kind === 'step-ended' && step === 'confirm' && at <= struckAt);
  return (then.get(other) ?? 'absent') === 'absent' || wasConfirmed;
}

/** A copy that runs or could be let run is there at the end. */
export const isAlive = ({ intervals }: Pick<Seen, 'intervals'>): boolean =>
  [...statesAt(intervals, Infinity).values()].some((state) => state !== 'absent');

/** The copy on each host at a time, as the last sample before it saw it. */
function statesAt(intervals: readonly Interval[], at: number): ReadonlyMap<string, CopyState> {
  const states = new Map<string, CopyState>();
  for (const { host, state, from } of intervals) if (from <= at) states.set(host, state);
  return states;
}

function recoveryOf({ healedAt, endedAt, events }: Seen): number | null {
  if (healedAt === null || endedAt <= healedAt) return null;
  const next = events.map(({ at }) => at).filter((at) => at > healedAt);
  return Math.max(0, Math.min(endedAt, ...next) - healedAt);
}
