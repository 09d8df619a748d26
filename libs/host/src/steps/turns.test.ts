import { expect, test } from 'vitest';
import { Preempted, Turns } from './turns.ts';

const turn = (
  more: Partial<{ migration: string; epoch: number; undo: boolean; signal: AbortSignal }> = {},
) => ({
  migration: 'm1',
  epoch: 1,
  undo: false,
  signal: new AbortController().signal,
  ...more,
});

/** Work that ends when it is told, or with its signal. */
function work(log: string[], name: string) {
  const told = new AbortController();
  const started = new AbortController();
  return {
    begun: once(started.signal),
    finish: () => told.abort(),
    run: async (signal: AbortSignal) => {
      log.push(`${name} begins`);
      started.abort();
      await once(AbortSignal.any([told.signal, signal]));
      log.push(`${name} ends`);
      signal.throwIfAborted();
      return name;
    },
  };
}

const once = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

test('a duplicate waits for the first to end; other migrations do not', async () => {
  const turns = new Turns();
  const log: string[] = [];
  const [first, second, other] = ['first', 'second', 'other'].map((name) => work(log, name)) as [
    ReturnType<typeof work>,
    ReturnType<typeof work>,
    ReturnType<typeof work>,
  ];
  const results = [
    turns.take(turn(), first.run),
    turns.take(turn(), second.run),
    turns.take(turn({ migration: 'm2' }), other.run),
  ];
  await first.begun;
  await other.begun;
  other.finish();
  first.finish();
  await second.begun;
  second.finish();
  expect(await Promise.all(results)).toEqual(['first', 'second', 'other']);
  expect(log.indexOf('second begins')).toBeGreaterThan(log.indexOf('first ends'));
});

test.each([
  ['an undo of the same epoch', turn({ undo: true }), true],
  ['a step of a newer epoch', turn({ epoch: 2 }), true],
  ['a duplicate', turn(), false],
  ['an undo of an older epoch', turn({ epoch: 0, undo: true }), false],
])('%s: stops what is under way = %o', async (_, later, stops) => {
  const turns = new Turns();
  const log: string[] = [];
  const first = work(log, 'first');
  const result = turns.take(turn(), first.run);
  await first.begun;
  const after = turns.take(later, () => Promise.resolve(log.push('later')));
  if (stops) await expect(result).rejects.toBeInstanceOf(Preempted);
  else {
    first.finish();
    expect(await result).toBe('first');
  }
  await after;
  expect(log).toEqual(['first begins', 'first ends', 'later']);
});

test('an undo never stops another undo', async () => {
  const turns = new Turns();
  const log: string[] = [];
  const first = work(log, 'first');
  const result = turns.take(turn({ undo: true }), first.run);
  await first.begun;
  const second = turns.take(turn({ undo: true }), () => Promise.resolve('second'));
  first.finish();
  expect([await result, await second]).toEqual(['first', 'second']);
});

test('a step that is cancelled while it waits never begins', async () => {
  const turns = new Turns();
  const log: string[] = [];
  const first = work(log, 'first');
  const result = turns.take(turn(), first.run);
  await first.begun;
  const cancel = new AbortController();
  const waiting = turns.take(turn({ signal: cancel.signal }), () => Promise.resolve(log.push('never')));
  cancel.abort(new Error('cancelled'));
  first.finish();
  await result;
  await expect(waiting).rejects.toThrow('cancelled');
  expect(log).not.toContain('never');
});
