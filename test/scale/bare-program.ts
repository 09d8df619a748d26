/**
 * BullMQ alone: as many queues, workers and jobs as the migrations need, one job of a chain after the other. No signatures, no
 * state, no leases, no results on disk: what is left is what the queue itself costs.
 */
import { Queue, Worker } from 'bullmq';
import { openConnection, parseRedisUrl } from '@cmt/queue';
import { pino } from 'pino';
import { z } from 'zod';
import { BareOrder } from './orders.ts';

const order = BareOrder.parse(JSON.parse(process.argv[2] ?? '{}'));
const redis = openConnection(parseRedisUrl(order.url), 'worker', pino({ level: 'silent' })).setMaxListeners(
  0,
);
const settings = { connection: redis, prefix: '{bare}' };
const queues = new Map<string, Queue>();
const queueOf = (host: string): Queue => {
  const known = queues.get(host) ?? new Queue(`bare.${host}`, { ...settings, skipVersionCheck: true });
  queues.set(host, known);
  return known;
};
const Chain = z.object({ chain: z.number(), left: z.number() });
const hostOf = (chain: number, left: number): string =>
  order.all[(chain * 7 + left) % order.all.length] ?? '';
const removal = { removeOnComplete: { age: 24 * 3600, count: 10_000 } };

/** A body as large as a signed leg's. */
const ballast = 'x'.repeat(700);

for (const host of order.hosts) {
  const worker = new Worker(
    `bare.${host}`,
    async (job) => {
      const { chain, left } = Chain.parse(job.data);
      if (left > 1)
        await queueOf(hostOf(chain, left - 1)).add('leg', { chain, left: left - 1, ballast }, removal);
      else await redis.incr('{bare}:ended');
      return { ok: true };
    },
    { ...settings, concurrency: 8, lockDuration: 10_000, stalledInterval: 3_000 },
  );
  worker.on('error', () => undefined);
}
process.stdout.write('ready\n');

process.stdin.once('data', () => {
  for (let chain = 0; chain < order.chains; chain += 1)
    void queueOf(hostOf(chain, order.jobs)).add('leg', { chain, left: order.jobs, ballast }, removal);
});
process.once('SIGTERM', () => process.exit(0));
