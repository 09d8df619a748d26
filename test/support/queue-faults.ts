/** The vocabulary of tests that break the queue. They run at the same time, so each has a Redis of its own. */
import type { Leg } from '@cmt/contracts';
import { readSaga, submitMigration, type LegRunner } from '@cmt/queue';
import { setTimeout as delay } from 'node:timers/promises';
import { it as test, type TestContext } from 'vitest';
import { startQueueProcess } from './queue-process.ts';
import {
  draftOf,
  LIMITS,
  promised,
  reportOf,
  requestOf,
  resultOf,
  startQueueWorld,
  type QueueWorld,
} from './queue-world.ts';

/** Never aborts. */
export const NEVER = new AbortController().signal;

/** A test that may wait for locks of the product's own length. */
export const it = (name: string, body: (context: TestContext) => Promise<void>) =>
  test(name, { timeout: 60_000 }, body);

export async function aWorld({ onTestFinished }: TestContext): Promise<QueueWorld> {
  const world = await startQueueWorld();
  onTestFinished(() => world.close());
  return world;
}

export function aProcess({ onTestFinished }: TestContext, orders: Parameters<typeof startQueueProcess>[0]) {
  const process = startQueueProcess(orders);
  onTestFinished(() => process.signal('SIGKILL'));
  return process;
}

/** A coordinator whose migrations are one leg on alpha. */
export const oneLeg = (world: QueueWorld, more: Parameters<QueueWorld['coordinator']>[1] = {}) =>
  world.coordinator(
    async (request, lease) => {
      await lease.save({ by: 'test' }, reportOf(request, 'running'));
      await lease.dispatch(draftOf('alpha'), LIMITS, NEVER);
      await lease.save({ by: 'test' }, reportOf(request, 'done'));
    },
    { name: 'test', ...more },
  );

export const submit = (world: QueueWorld, id: string) =>
  submitMigration(world.connection(), requestOf(id), world.keys);
export const stateOf = async (world: QueueWorld, id: string) =>
  (await readSaga(world.connection(), id))?.report.state;
/** Asks until the answer is yes. (`expect.poll` does not work in tests that run at the same time.) */
export async function until(ask: () => Promise<boolean> | boolean, ms = 30_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${ask.toString()}`);
    await delay(50);
  }
}

export const isDone = (world: QueueWorld, id: string, ms?: number): Promise<void> =>
  until(async () => (await stateOf(world, id)) === 'done', ms);

/** A runner that works until it is told to stop working, and remembers when it began and ended. */
export function recorder(until: (leg: Leg, signal: AbortSignal) => Promise<unknown>) {
  const runs: { began: number; ended: number | null; reason: unknown }[] = [];
  const began = promised();
  const run: LegRunner = async (leg, { signal }) => {
    const mine = { began: Date.now(), ended: null as number | null, reason: null as unknown };
    runs.push(mine);
    began.keep();
    try {
      await until(leg, signal);
      signal.throwIfAborted();
      return resultOf(leg);
    } catch (error) {
      mine.reason = error;
      throw error;
    } finally {
      mine.ended = Date.now();
    }
  };
  return { runs, run, began: began.promise };
}
