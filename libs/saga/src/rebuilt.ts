/**
 * A migration that Redis has forgotten, taken up again from what the journals of its two hosts say (lifecycle H6). Pure.
 *
 * INVARIANTS
 * - It is never gone on with as if nothing had happened: the target is asked first, and its journal's answer is the decision.
 * - Redis never stands in for that answer: this Redis knows nothing of the hand-over (no continuity mark).
 * - What both journals call closed has ended: its end is put on record, and nothing is done.
 */
import type { ContainerNetwork, Failure, Inspection, JournalNote, MigrationRequest } from '@cmt/contracts';
import { enter, initial, type Journals, type Saga } from './state.ts';

/** What is missing of a migration. */
export interface Lost {
  /** The options of its request are not those that were asked for. */
  readonly options: boolean;
  /** Redis has not forgotten it: what it holds cannot be read. */
  readonly damaged?: boolean;
}

/** The saga of a forgotten migration, at time `at` (milliseconds since 1970). */
export function rebuilt(request: MigrationRequest, journals: Journals, at: number, lost: Lost): Saga {
  const begun = withFacts(initial(request, at), journals);
  const told = {
    ...begun,
    rebuilt: { at, note: note(lost) },
    failure: forgotten(request, begun, lost),
  };
  return hasEnded(journals) ? ended(told, journals, at) : enter(told, 'discard');
}

/** Everything that the way back and the way forward ask for, as far as the journals have it. */
function withFacts(saga: Saga, { source, target }: Journals): Saga {
  const { request } = saga;
  const known = source ?? target;
  const container = known?.container ?? request.container ?? '';
  const bundle = known?.bundle ?? request.sourceBundle ?? '/';
  const runtime = known?.runtime ?? request.runtime;
  return {
    ...saga,
    request: { ...request, targetBundle: request.targetBundle ?? target?.bundle ?? bundle },
    epoch: Math.max(source?.epoch ?? 1, target?.epoch ?? 1),
    touched: true,
    switching: true,
    inspection: { ...UNSEEN, container, runtime, bundle, network: networkOf(source, target) },
  };
}

/** The source's entry has a network from its freeze on, the target's as soon as one is built. */
function networkOf(source: JournalNote | null, target: JournalNote | null): ContainerNetwork {
  if (source !== null && source.frozenAt !== null) return source.network;
  return target?.network ?? source?.network ?? { kind: 'none' };
}

/** Sizes only stretch the time limits of steps that are not asked for any more. */
const UNSEEN: Omit<Inspection, 'container' | 'runtime' | 'bundle' | 'network'> = {
  rootfs: '/',
  pids: 0,
  memory: 0,
  files: 0,
  tcpConnections: 0,
  mounts: [],
  cpuinfo: '',
};

function hasEnded({ source, target }: Journals): boolean {
  const notes = [source, target].filter((each) => each !== null);
  return notes.length > 0 && notes.every(({ closed }) => closed);
}

function ended(saga: Saga, { source, target }: Journals, at: number): Saga {
  const moved = target?.phase === 'RUNNING' || source?.phase === 'RETIRED';
  const end = moved ? 'done' : 'rolled-back';
  const decision = moved ? 'COMMIT' : 'ABORT';
  return enter(saga, 'end', { end, decision, endedAt: at, failure: moved ? null : saga.failure });
}

const note = ({ options, damaged = false }: Lost): string =>
  `${damaged ? 'What Redis held of it was damaged' : 'Redis had forgotten it'}; it was rebuilt from the journals of its hosts.${
    options ? ' Its options were lost: its hooks do not run, and --confirm-for is the default.' : ''
  }`;

const forgotten = (request: MigrationRequest, saga: Saga, { damaged = false }: Lost): Failure => ({
  code: damaged ? 'STATE_DAMAGED' : 'REDIS_FORGOT',
  details: { migration: request.id, container: saga.inspection?.container ?? request.container ?? '' },
});
