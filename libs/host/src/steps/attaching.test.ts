import { expect, test } from 'vitest';
import type { StepContext } from '../context.ts';
import type { Journal, JournalEntry } from '../journal.ts';
import type { Network } from '../network/network.ts';
import { attachingOf, attachLater, forgetAttaching, readyToAttach } from './attaching.ts';

/** A network whose links join when they may, and whose segment is told when the test says so. */
function slowSegment(failures = 0) {
  const seen = { attempts: 0, joined: 0, refused: 0 };
  let announce = (): void => undefined;
  const announced = new Promise<void>((resolve) => (announce = resolve));
  const attach: Network['attach'] = async (_network, _signal, ready, onJoined) => {
    const attempt = (seen.attempts += 1);
    await ready?.catch((error: unknown) => {
      seen.refused += 1;
      throw error;
    });
    if (attempt <= failures) throw new Error('its processes have ended');
    seen.joined += 1;
    onJoined?.();
    await announced;
  };
  const clock = { limit: () => new AbortController().signal };
  const journal = {} as Journal;
  const context = { network: { attach }, machine: { clock }, journal } as unknown as StepContext;
  const entry = { migration: 'm1', network: { kind: 'none' } } as JournalEntry;
  return { seen, announce, entry, context };
}

test('the links join when they are told to, and nobody waits for the segment before that is asked for', async () => {
  const { seen, announce, entry, context } = slowSegment();
  const attaching = attachLater(entry, context);
  expect(seen).toMatchObject({ attempts: 1, joined: 0 });
  await attaching.now();
  await attaching.now();
  expect(seen).toMatchObject({ attempts: 1, joined: 1 });
  const announced = attaching.announced();
  announce();
  await announced;
});

test('what is forgotten is over and not attached; what was told to is, whatever comes after', async () => {
  const forgotten = slowSegment();
  await attachLater(forgotten.entry, forgotten.context).forget();
  const told = slowSegment();
  const attaching = attachLater(told.entry, told.context);
  const joined = attaching.now();
  await attaching.forget();
  await joined;
  expect([forgotten.seen, told.seen]).toMatchObject([
    { joined: 0, refused: 1 },
    { joined: 1, refused: 0 },
  ]);
});

test('what was readied for too long is done afresh, and what fails then is said', async () => {
  const { seen, entry, context } = slowSegment(1);
  await attachLater(entry, context).now();
  expect(seen).toMatchObject({ attempts: 2, joined: 1 });
  const failing = slowSegment(9);
  const attaching = attachLater(failing.entry, failing.context);
  await expect(attaching.now()).rejects.toThrow('its processes have ended');
  await expect(attaching.announced()).rejects.toThrow('its processes have ended');
});

test('what was readied is taken once; another readiness, or an undo, ends it', async () => {
  const { seen, entry, context } = slowSegment();
  await readyToAttach(entry, context);
  await readyToAttach(entry, context);
  expect(seen).toMatchObject({ attempts: 2, refused: 1 });
  await attachingOf(entry, context).now();
  expect(seen).toMatchObject({ attempts: 2, joined: 1 });
  await forgetAttaching(entry, context);
  expect(seen.refused).toBe(1);
  await readyToAttach(entry, context);
  await forgetAttaching(entry, context);
  expect(seen).toMatchObject({ attempts: 3, refused: 2 });
});
