/**
 * The target's way out, readied before the source freezes: starting the processes that attach a network takes longer than what they do.
 *
 * INVARIANTS
 * - Nothing is attached before `now`, and that is called only when the decision is COMMIT.
 * - Where it is not to be used its processes are gone before the network is taken away (`forgetAttaching`): one of them is inside.
 */
import type { MigrationId } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import { perHost } from './per-host.ts';

/** Milliseconds for what must be finished once the decision is COMMIT. */
export const FINISH_LIMIT_MS = 60_000;

export interface Attaching {
  /** Joins the links; again for the same answer. @throws CmtError NETWORK_FAILED */
  now(): Promise<void>;
  /** After `now`: resolves when the segment has been told where the container is. @throws CmtError NETWORK_FAILED */
  announced(): Promise<void>;
  /** Nothing is attached any more, and no process waits to, unless `now` was called before. */
  forget(): Promise<void>;
}

const readiedOn = perHost(() => new Map<MigrationId, Attaching>());

/** Starts what will attach the network of this entry, and keeps it for `attachingOf`. */
export async function readyToAttach(entry: JournalEntry, context: StepContext): Promise<void> {
  await forgetAttaching(entry, context);
  readiedOn(context.journal).set(entry.migration, attachLater(entry, context));
}

/** What was readied, now the caller's; or started now, as after a restart of the worker. */
export function attachingOf(entry: JournalEntry, context: StepContext): Attaching {
  const attaching = readiedOn(context.journal).get(entry.migration) ?? attachLater(entry, context);
  readiedOn(context.journal).delete(entry.migration);
  return attaching;
}

/** Ends what was readied and nobody has taken. Idempotent, never rejects. */
export async function forgetAttaching(
  { migration }: Pick<JournalEntry, 'migration'>,
  { journal }: Pick<StepContext, 'journal'>,
): Promise<void> {
  const attaching = readiedOn(journal).get(migration);
  readiedOn(journal).delete(migration);
  await attaching?.forget();
}

/** One try: the links joined, and all of it. */
interface Attempt {
  readonly joined: Promise<void>;
  readonly announced: Promise<void>;
}

export function attachLater(
  { network }: JournalEntry,
  { network: networks, machine }: StepContext,
): Attaching {
  let tell: (word: boolean) => void = () => undefined;
  const word = new Promise<boolean>((resolve) => (tell = resolve)).then((isGood) => {
    if (!isGood) throw new Error('it is not to be attached');
  });
  const attempt = (ready?: Promise<void>): Attempt => {
    let onJoined = (): void => undefined;
    const isJoined = new Promise<void>((resolve) => (onJoined = resolve));
    const announced = networks.attach(network, machine.clock.limit(FINISH_LIMIT_MS), ready, onJoined);
    const joined = Promise.race([isJoined, announced]);
    // Who asks for them later hears of it then.
    for (const promise of [joined, announced]) promise.catch(() => undefined);
    return { joined, announced };
  };
  let last = attempt(word);
  let joined: Promise<void> | null = null;
  return {
    now: () => {
      tell(true);
      // What waited for too long has ended: it is done afresh.
      return (joined ??= last.joined.catch(() => (last = attempt()).joined));
    },
    announced: () => last.announced.catch(() => attempt().announced),
    forget: async () => {
      if (joined !== null) return;
      tell(false);
      await last.announced.catch(() => undefined);
    },
  };
}
