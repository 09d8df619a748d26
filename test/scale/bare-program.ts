/**
 * BullMQ alone, with as many jobs through as many queues, and bodies, results and removal as legs have them. No signatures, no stored
 * states, no leases, no limits, no events, no results on disk: what is left is what the queue itself costs. In two shapes:
 *
 * - `flow`: the jobs of a migration as they are, a parent and its legs below it, each round asked for when the one before has ended. It
 *   is BullMQ's own pattern for that (docs.bullmq.io, patterns/process-step-jobs).
 * - `chain`: jobs that know of no other; each adds the next one of its chain. The least that so many jobs can cost.
 */
import { Queue, WaitingChildrenError, Worker, type Job } from 'bullmq';
import { openConnection, parseRedisUrl } from '@cmt/queue';
import { pino } from 'pino';
import { z } from 'zod';
import { BareOrder, JOBS_OF_A_MIGRATION, ROUNDS, sidesOf } from './orders.ts';

const order = BareOrder.parse(JSON.parse(process.argv[2] ?? '{}'));
const address = parseRedisUrl(order.url);
const redis = openConnection(address, 'worker', pino({ level: 'silent' })).setMaxListeners(0);
const settings = { connection: redis, prefix: '{bare}' };
const working = { ...settings, lockDuration: 10_000, stalledInterval: 3_000 };
const removal = { removeOnComplete: { age: 24 * 3600, count: 10_000 } };
const PARENTS = 'bare.migrations';

/** What a leg and its result take on average. */
const body = 'x'.repeat(600);
const result = { ok: true, output: 'x'.repeat(220) };

const queues = new Map<string, Queue>();
const queueOf = (name: string): Queue => {
  const known = queues.get(name) ?? new Queue(name, { ...settings, skipVersionCheck: true });
  queues.set(name, known);
  return known;
};
const hostQueue = (host: string | undefined): string => `bare.${host ?? ''}`;
const end = () => redis.incr('{bare}:ended');

const Chain = z.object({ chain: z.number(), left: z.number() });

async function next(chain: number, left: number): Promise<void> {
  const host = order.all[(chain * 7 + left) % order.all.length];
  await queueOf(hostQueue(host)).add('leg', { chain, left, body }, removal);
}

const Parent = z.object({ at: z.number(), round: z.number() });

/** One migration: the next round of its legs, until there is none. */
async function drive(job: Job<unknown>, token: string): Promise<unknown> {
  const { at, round: begun } = Parent.parse(job.data);
  const sides = sidesOf(at, order.all);
  const parent = { id: job.id ?? '', queue: job.queueQualifiedName };
  for (let round = begun; round < ROUNDS.length; round += 1) {
    await job.getChildrenValues();
    for (const [leg, side] of (ROUNDS[round] ?? []).entries())
      await queueOf(hostQueue(sides[side])).add(
        'leg',
        { body },
        { ...removal, jobId: `${at}_${round}_${leg}`, parent, ignoreDependencyOnFailure: true },
      );
    await job.updateData({ at, round: round + 1 });
    if (await job.moveToWaitingChildren(token)) throw new WaitingChildrenError();
  }
  await end();
  return { ok: true };
}

if (order.parents !== null)
  new Worker(PARENTS, (job, token) => drive(job, token ?? ''), {
    ...{ ...working, concurrency: order.parents.atOnce },
  }).on('error', () => undefined);
for (const host of order.hosts)
  new Worker(
    hostQueue(host),
    async ({ data }) => {
      if (order.shape === 'flow') return result;
      const { chain, left } = Chain.parse(data);
      await (left > 1 ? next(chain, left - 1) : end());
      return result;
    },
    { ...working, concurrency: 8 },
  ).on('error', () => undefined);
process.stdout.write('ready\n');

process.stdin.once('data', () => {
  for (let at = order.first; at < order.first + order.migrations; at += 1)
    void (order.shape === 'chain'
      ? next(at, JOBS_OF_A_MIGRATION)
      : queueOf(PARENTS).add(
          'migrate',
          { at, round: 0 },
          { ...removal, jobId: `migration_${at}`, priority: 2 },
        ));
});
process.once('SIGTERM', () => process.exit(0));
