/** The client package as a Node program uses it: docs/automation.md shows the same. */
import { CmtClient } from '@cmt/client';
import type { MigrationEvent } from '@cmt/contracts';
import { announceOnce } from '@cmt/queue';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { hostRecord } from '../support/host-record.ts';
import { startQueueWorld, type QueueWorld } from '../support/queue-world.ts';
import { scripted } from '../support/scripted-coordinator.ts';

let world: QueueWorld;
let client: CmtClient;

beforeAll(async () => {
  world = await startQueueWorld();
  world.coordinator(scripted);
  await announceOnce(world.connection(), hostRecord('host1', '10.0.0.1', ['redis']));
  client = await CmtClient.connect({ redis: world.redis.url, stateDir: world.redis.dir });
});

afterAll(async () => {
  client.close();
  await world.close();
});

const wish = (container: string) => ({ container, source: 'host1', target: 'host2' });
const failing = (code: string) =>
  expect.objectContaining({ failure: expect.objectContaining({ code }) as unknown }) as unknown;

it('asks for a migration and follows it to its end', async () => {
  const { report, isNew } = await client.enqueue({ ...wish('redis'), options: { maxDowntimeMs: 100 } });
  expect([isNew, report.state, report.request.options.maxDowntimeMs]).toEqual([true, 'queued', 100]);
  const seen: MigrationEvent[] = [];
  for await (const event of client.follow(report.id)) seen.push(event);
  expect(seen.map(({ text }) => text)).toEqual([
    'queued',
    'running',
    'looks at the container',
    'took 1 ms',
    'done',
  ]);
  expect(await client.ended(report.id)).toMatchObject({ state: 'done', blackoutMs: 200 });
  expect(await client.events(report.id)).toEqual(seen);
});

it('is one migration for one id, and tells another wish from it', async () => {
  await client.enqueue({ ...wish('redis'), id: 'once' });
  expect((await client.enqueue({ ...wish('redis'), id: 'once' })).isNew).toBe(false);
  await expect(client.enqueue({ ...wish('ghost'), id: 'once' })).rejects.toEqual(failing('REQUEST_INVALID'));
  expect((await client.migrations(10)).map(({ id }) => id)).toContain('once');
});

it('says what is wrong with a wish before anything is asked for', async () => {
  await expect(client.enqueue({ source: 'host1', target: 'host2' })).rejects.toEqual(
    failing('REQUEST_INVALID'),
  );
  await expect(client.status('never')).rejects.toEqual(failing('MIGRATION_UNKNOWN'));
  expect(await client.knows('never')).toBe(false);
});

it('cancels, and shows who is there', async () => {
  const { report } = await client.enqueue(wish('slow'));
  for await (const { text } of client.follow(report.id)) if (text === 'took 1 ms') break;
  await client.cancel(report.id, 'enough');
  expect(await client.ended(report.id)).toMatchObject({ state: 'cancelled', failure: { code: 'CANCELLED' } });
  expect((await client.hosts()).map(({ name, state }) => [name, state])).toEqual([['host1', 'online']]);
  expect(await client.hasCoordinator()).toBe(true);
});

it('ends a following without ending the migration', async () => {
  const { report } = await client.enqueue({ ...wish('slow'), id: 'still' });
  const stop = new AbortController();
  for await (const { text } of client.follow(report.id, { signal: stop.signal }))
    if (text === 'took 1 ms') stop.abort();
  expect(await client.status('still')).toMatchObject({ state: 'running' });
  await client.cancel('still', 'end of the test');
  expect(await client.ended('still')).toMatchObject({ state: 'cancelled' });
});
