/** A coordinator or a worker in a process of its own (see queue-process.ts). Tells what happens to it as JSON lines. */
import { legId, LOCK_TIMING } from '@cmt/queue';
import { setTimeout as delay } from 'node:timers/promises';
import { Orders } from './queue-orders.ts';
import { draftOf, joinQueueWorld, LIMITS, QUICK, reportOf, resultOf } from './queue-party.ts';

const say = (what: string, id: string, why?: string): void => {
  process.stdout.write(`${JSON.stringify({ what, id, at: Date.now(), why })}\n`);
};

async function run(orders: Orders): Promise<void> {
  const world = await joinQueueWorld(orders.url, orders.dir);
  const timing = orders.timing === 'quick' ? QUICK : LOCK_TIMING;
  if (orders.role === 'worker') {
    world.worker(
      orders.host,
      async (leg, lease) => {
        say('leg-began', legId(leg));
        lease.signal.addEventListener('abort', () =>
          say('leg-aborted', legId(leg), String(lease.signal.reason)),
        );
        await delay(orders.legMs, undefined, { signal: lease.signal }).catch(() =>
          lease.signal.throwIfAborted(),
        );
        say('leg-ended', legId(leg));
        return resultOf(leg);
      },
      { timing },
    );
    return;
  }
  world.coordinator(
    async (request, lease) => {
      lease.signal.addEventListener('abort', () => say('aborted', request.id, String(lease.signal.reason)));
      const before = lease.stored;
      say('began', request.id, JSON.stringify(before?.state));
      await lease.save({ by: process.pid }, reportOf(request, 'running'));
      await lease.dispatch(draftOf(orders.host), LIMITS, new AbortController().signal);
      await lease.save({ by: process.pid }, reportOf(request, 'done'));
      say('ended', request.id);
    },
    { timing },
  );
}

await run(Orders.parse(JSON.parse(process.argv[2] ?? '{}')));
say('ready', '');
