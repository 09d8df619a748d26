import { expect, test } from 'vitest';
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import type { Network } from '../network/network.ts';
import { attachLater } from './attaching.ts';

/** A network whose links join when they may, and whose segment is told when the test says so. */
function slowSegment(failures = 0) {
  const seen = { attempts: 0, joined: 0 };
  let announce = (): void => undefined;
  const announced = new Promise<void>((resolve) => (announce = resolve));
  const attach: Network['attach'] = async (_network, _signal, ready, onJoined) => {
    const attempt = (seen.attempts += 1);
    await ready;
    if (attempt <= failures) throw new Error('its processes have ended');
    seen.joined += 1;
    onJoined?.();
    await announced;
  };
  const clock = { limit: () => new AbortController().signal };
  const context = { network: { attach }, machine: { clock } } as unknown as StepContext;
  const entry = { network: { kind: 'none' } } as JournalEntry;
  return { seen, announce, attaching: attachLater(entry, context) };
}

test('the links join when they are told to, and nobody waits for the segment before that is asked for', async () => {
  const { seen, announce, attaching } = slowSegment();
  expect(seen).toEqual({ attempts: 1, joined: 0 });
  await attaching.now();
  await attaching.now();
  expect(seen).toEqual({ attempts: 1, joined: 1 });
  const announced = attaching.announced();
  announce();
  await announced;
});

test('what is forgotten is not attached; what was told to is, whatever comes after', async () => {
  const forgotten = slowSegment();
  forgotten.attaching.forget();
  const told = slowSegment();
  const joined = told.attaching.now();
  told.attaching.forget();
  await joined;
  expect([forgotten.seen.joined, told.seen.joined]).toEqual([0, 1]);
});

test('what was readied for too long is done afresh, and what fails then is said', async () => {
  const { seen, attaching } = slowSegment(1);
  await attaching.now();
  expect(seen).toEqual({ attempts: 2, joined: 1 });
  const failing = slowSegment(9).attaching;
  await expect(failing.now()).rejects.toThrow('its processes have ended');
  await expect(failing.announced()).rejects.toThrow('its processes have ended');
});
