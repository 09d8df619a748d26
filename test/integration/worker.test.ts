/** The worker between queue and steps: legs come through a real Redis, hosts are of paper. */
import { keys, type LegResult, type StepCall } from '@cmt/contracts';
import type { Lease } from '@cmt/queue';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { serveQueue, type QueueService } from '../../apps/worker/src/serve-queue.ts';
import { openPaperHost, PaperDecisions, writeBundle, type PaperHost } from '../support/paper-host.ts';
import {
  draftOf,
  LIMITS,
  promised,
  reportOf,
  requestOf,
  startQueueWorld,
  type QueueWorld,
} from '../support/queue-world.ts';
import { bundleOn, container, inputs } from '../support/two-hosts.ts';
import { submitMigration } from '@cmt/queue';
import { pino } from 'pino';

const MIGRATION = 'm1';
const NEVER = new AbortController().signal;
const logger = pino({ level: process.env.CMT_TEST_LOG ?? 'silent' });

/** Nobody waits for anything. */
const AT_ONCE = { handBackMs: 0, failMs: 0, endMs: 0 };

let world: QueueWorld;
let source: PaperHost;
let target: PaperHost;
let services: QueueService[];
let lease: Lease;
let finish: () => void;

beforeEach(async () => {
  world = await startQueueWorld();
  const decisions = new PaperDecisions();
  source = await openPaperHost('a', decisions);
  target = await openPaperHost('b', decisions);
  await writeBundle(bundleOn(source));
  await source.runtime.run(container, bundleOn(source));
  services = [await serve(source), await serve(target)];
  const end = promised();
  const begun = promised<Lease>();
  world.coordinator(async (request, mine) => {
    begun.keep(mine);
    await end.promise;
    await mine.save({}, reportOf(request, 'done'));
  });
  finish = () => end.keep();
  await submitMigration(world.connection(), requestOf(MIGRATION, { source: 'a', target: 'b' }), world.keys);
  lease = await begun.promise;
});
afterEach(async () => {
  finish();
  await Promise.all(services.map((service) => service.close(AT_ONCE)));
  await source.close();
  await target.close();
  await world.close();
});

/** A worker of that host which obeys the test's coordinator. */
async function serve(host: PaperHost): Promise<QueueService> {
  const trustedKeysDir = join(host.root, 'trusted');
  await mkdir(trustedKeysDir, { recursive: true });
  await copyFile(join(world.redis.dir, 'keys', 'cmt.pub'), join(trustedKeysDir, 'coordinator.pub'));
  const config = { ...host.parts.config, trustedKeysDir };
  const parts = { ...host.parts, config, close: () => Promise.resolve() };
  return await serveQueue({ config, address: world.address, host: parts, logger });
}

const call = (step: StepCall['step'], input: StepCall['input'], timeoutMs = 20_000): StepCall => ({
  step,
  input,
  timeoutMs,
});

let tasks = 0;
const dispatch = (host: PaperHost, ...calls: StepCall[]): Promise<LegResult> =>
  lease.dispatch(draftOf(host.name, `${calls[0]!.step}.1.${(tasks += 1)}`, { calls }), LIMITS, NEVER);

test('a switch in two legs: the target waits, the source sends, the record in Redis says COMMIT', async () => {
  const given = inputs(source, target);
  expect((await dispatch(target, call('prepare', given.prepare))).results).toMatchObject([{ ok: true }]);
  expect((await dispatch(source, call('sync-files', given.syncFiles))).results).toMatchObject([{ ok: true }]);
  const [held, sent] = await Promise.all([
    dispatch(target, call('restore-and-hold', given.hold), call('release', given.onTarget)),
    dispatch(source, call('freeze-and-dump', given.freeze), call('final-sync', given.finalSync)),
  ]);
  expect(sent.results).toMatchObject([
    { step: 'freeze-and-dump', ok: true },
    { step: 'final-sync', ok: true },
  ]);
  expect(held.results).toMatchObject([{ ok: true }, { step: 'release', output: { decision: 'COMMIT' } }]);
  expect(await world.connection().get(keys.decision(MIGRATION, 1))).toBe('COMMIT');
  expect(await target.runtime.executes(container)).toBe(true);
  expect(await source.runtime.executes(container)).toBe(false);

  const events = JSON.stringify(await world.connection().xrange(keys.events(MIGRATION), '-', '+'));
  for (const told of ['step-started', 'step-ended', 'freeze-and-dump', 'release'])
    expect(events).toContain(told);
});

test('a leg ends at its first failure; a hook that is not allowed here never runs', async () => {
  const hook = { name: 'pre-freeze', argv: ['/usr/bin/touch', join(source.root, 'ran')] };
  const { results } = await dispatch(
    source,
    call('hook', { hook, context: {} }),
    call('retire', inputs(source, target).onSource),
  );
  expect(results).toMatchObject([{ ok: false, step: 'hook', failure: { code: 'HOOK_FORBIDDEN' } }]);
});

test('a worker that shuts down gives its waiting leg back, and the next one goes on with it', async () => {
  const given = inputs(source, target);
  await dispatch(target, call('prepare', given.prepare));
  await dispatch(source, call('sync-files', given.syncFiles));
  const waiting = dispatch(target, call('restore-and-hold', given.hold), call('release', given.onTarget));
  await expect.poll(() => services[1]!.health().legs).not.toEqual({});
  await services[1]!.close({ ...AT_ONCE, endMs: 10_000 });
  services[1] = await serve(target);
  await dispatch(source, call('freeze-and-dump', given.freeze), call('final-sync', given.finalSync));
  expect((await waiting).results).toMatchObject([{ ok: true }, { output: { decision: 'COMMIT' } }]);
  expect(await target.runtime.executes(container)).toBe(true);
});

test('a worker that is told to stop in the blackout begins nothing new, and stays until the container goes on', async () => {
  const given = inputs(source, target);
  await dispatch(target, call('prepare', given.prepare));
  await dispatch(source, call('sync-files', given.syncFiles));
  const waiting = dispatch(target, call('restore-and-hold', given.hold));
  await dispatch(source, call('freeze-and-dump', given.freeze), call('final-sync', given.finalSync));
  await waiting;
  const stopped = promised<string>();
  const closing = services[0]!
    .close({ handBackMs: 20_000, failMs: 20_000, endMs: 20_000 })
    .then(() => stopped.keep('stopped'));
  const later = dispatch(source, call('inspect', { runtime: 'runc', container, tcp: 'refuse' }));
  expect(await source.runtime.executes(container)).toBe(false);

  await world.connection().set(keys.decision(MIGRATION, 1), 'ABORT');
  for (const host of [source, target])
    host.parts.decisions.settle(MIGRATION, 1, 'ABORT', NEVER).catch(() => undefined);
  expect((await dispatch(target, call('discard', given.onTarget))).results).toMatchObject([{ ok: true }]);
  expect((await dispatch(source, call('resume', given.onSource))).results).toMatchObject([{ ok: true }]);
  expect(await source.runtime.executes(container)).toBe(true);
  expect(await stopped.promise).toBe('stopped');
  await closing;

  services[0] = await serve(source);
  expect((await later).results).toMatchObject([{ step: 'inspect' }]);
});

test('a leg that holds a container still and does not end is made to fail, so that its migration is turned back', async () => {
  const given = inputs(source, target);
  await dispatch(target, call('prepare', given.prepare));
  await dispatch(source, call('sync-files', given.syncFiles));
  const armed = dispatch(target, call('restore-and-hold', given.hold));
  // Far longer than it takes to be told; a dump looks up only when it has written a file.
  source.runtime.faults.beforeDump = () => pause(5_000);
  const hung = dispatch(source, call('freeze-and-dump', given.freeze));
  await expect
    .poll(async () => (await source.journal.read(MIGRATION))?.phase, { timeout: 10_000 })
    .toBe('FROZEN');
  const closing = services[0]!.close({ handBackMs: 0, failMs: 0, endMs: 20_000 });
  expect((await hung).results).toMatchObject([{ ok: false, failure: { code: 'WORKER_STOPPING' } }]);
  await world.connection().set(keys.decision(MIGRATION, 1), 'ABORT');
  await dispatch(target, call('discard', given.onTarget));
  await armed;
  expect((await dispatch(source, call('resume', given.onSource))).results).toMatchObject([{ ok: true }]);
  expect(await source.runtime.executes(container)).toBe(true);
  await closing;
  services[0] = await serve(source);
});
