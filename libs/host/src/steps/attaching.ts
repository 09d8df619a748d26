/**
 * The target's way out, readied while the decision is awaited: starting the processes that attach a network takes longer than what they do.
 *
 * INVARIANT: nothing is attached before `now`, and that is called only when the decision is COMMIT.
 */
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';

/** Milliseconds for what must be finished once the decision is COMMIT. */
export const FINISH_LIMIT_MS = 60_000;

export interface Attaching {
  /** Joins the links; again for the same answer. @throws CmtError NETWORK_FAILED */
  now(): Promise<void>;
  /** After `now`: resolves when the segment has been told where the container is. @throws CmtError NETWORK_FAILED */
  announced(): Promise<void>;
  /** Nothing is attached any more, unless `now` was called before. */
  forget(): void;
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
    forget: () => tell(joined !== null),
  };
}
