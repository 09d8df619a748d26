/**
 * How a worker that was told to stop comes to its end: legs are finished or handed back, and no container is left standing
 * still that this worker could have set going again.
 *
 * INVARIANTS
 * - Nothing new is begun; what ends a hand-over that is open here is begun all the same.
 * - A leg that holds a container still is never handed back while there is time: it ends, or fails, and then its
 *   migration is turned back while this worker is still there to resume the container.
 * - It all ends within `LIMITS.endMs` and a few seconds, whoever does not answer.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { CmtError, type Leg, type StepName } from '@cmt/contracts';
import type { JournalEntry } from '@cmt/host';
import type { LegConsumer } from '@cmt/queue';
import type { Logger } from 'pino';

/** Milliseconds from being told to stop. All of it stays below the 90 s that systemd gives a service. */
export interface ShutdownLimits {
  /** Legs that hold nothing still are handed back. */
  readonly handBackMs: number;
  /** Legs that hold a container still are made to fail. */
  readonly failMs: number;
  readonly endMs: number;
}
export const LIMITS: ShutdownLimits = { handBackMs: 20_000, failMs: 45_000, endMs: 75_000 };

const LOOK_MS = 50;

/** These take something back or bring it to its end: always begun, never stopped. A leg's id is `<migration>_<step>…`. */
const ENDING: readonly StepName[] = ['discard', 'resume', 'retire', 'clean', 'confirm', 'release'];

export interface Shutdown {
  readonly host: string;
  readonly consumer: Pick<LegConsumer, 'drain' | 'running' | 'handBack' | 'fail' | 'close'>;
  /** Open hand-overs in which a container stands still, or has only just been let go. */
  readonly standingStill: () => Promise<readonly JournalEntry[]>;
  readonly logger: Logger;
}

/** Resolves when nothing is under way any more. */
export async function shutDown(shutdown: Shutdown, limits: ShutdownLimits = LIMITS): Promise<void> {
  const { consumer, standingStill, logger } = shutdown;
  const began = performance.now();
  consumer.drain(async (leg) => isEnding(leg) || (await isStill(shutdown, leg.migration)));
  for (;;) {
    const still = await standingStill();
    const legs = consumer.running();
    const isCalm = still.length === 0 && legs.length === 0;
    const ms = performance.now() - began;
    if (isCalm || ms > limits.endMs) break;
    const stoppable = legs.filter((leg) => !ENDING.some((step) => leg.includes(`_${step}`)));
    const holding = stoppable.filter((leg) => still.some(({ migration }) => leg.startsWith(`${migration}_`)));
    if (ms > limits.handBackMs) consumer.handBack(stoppable.filter((leg) => !holding.includes(leg)));
    if (ms > limits.failMs) consumer.fail(holding, stopping(shutdown));
    await wait(LOOK_MS);
  }
  for (const { migration, container, phase } of await standingStill())
    logger.error({ migration, container, phase }, 'this container stands still until a worker is back');
  await consumer.close(0);
}

const isEnding = (leg: Leg): boolean => leg.calls.every(({ step }) => ENDING.includes(step));

const isStill = async ({ standingStill }: Shutdown, migration: string): Promise<boolean> =>
  (await standingStill()).some((entry) => entry.migration === migration);

const stopping = ({ host }: Shutdown): CmtError =>
  new CmtError('WORKER_STOPPING', { host, step: 'the hand-over' });
