/** Links that are shared out: the real coordinator, queue and CLI; hosts that only say what real ones would. */
import { keys, MigrationRequest, TuneOrder, type MigrationOptions } from '@cmt/contracts';
import { flowsUnderWay, loadKeyPair, submitMigration } from '@cmt/queue';
import { join } from 'node:path';
import { pino } from 'pino';
import { beforeAll, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { LinkShares } from '../../apps/coordinator/src/link-shares.ts';
import { buildCmt } from '../support/cmt.ts';
import { until } from '../support/queue-faults.ts';
import { promised } from '../support/queue-world.ts';
import { startStandInFleet, type StandInFleet } from '../support/stand-in-fleet.ts';

const LIMIT = { timeout: 90_000 };
const MIB = 1024 ** 2;

beforeAll(() => buildCmt(), 150_000);

/** Its container is called like the migration. */
const ask = async (
  fleet: StandInFleet,
  id: string,
  target: string,
  options: z.input<typeof MigrationOptions> = {},
) => {
  const wish = { v: 1, id, container: id, source: 'host1', target, options, requestedAt: Date.now() };
  await submitMigration(fleet.redis, MigrationRequest.parse(wish), fleet.world.keys);
  await until(() => fleet.begun.includes(id));
};

/** In MiB/s. */
const shared = (fleet: StandInFleet, expected: Record<string, number | null>) =>
  expect
    .poll(
      () =>
        Object.fromEntries(
          Object.keys(expected).map((id) => {
            const share = fleet.shares.get(id);
            return [id, typeof share === 'number' ? share / MIB : share];
          }),
        ),
      { timeout: 30_000 },
    )
    .toEqual(expected);

const ended = (fleet: StandInFleet, id: string) => until(async () => (await fleet.stateOf(id)) === 'done');

describe('a link', LIMIT, () => {
  it('is shared by those who use it, as they begin, end, are tuned, and as its limit is set', async (context) => {
    const gates = { a: promised(), b: promised(), c: promised() };
    const fleet = await startStandInFleet(context, {
      host1: {
        containers: { a: 1000, b: 1000, c: 1000 },
        gate: (id) => gates[id as keyof typeof gates].promise,
      },
      host2: {},
      host3: {},
    });
    await ask(fleet, 'a', 'host2');
    expect((await fleet.cmt('limits', 'set', 'bandwidth=100MiB/s', 'out=4')).code).toBe(0);
    await shared(fleet, { a: 100 });
    await ask(fleet, 'b', 'host3', { bandwidth: 10 * MIB });
    await shared(fleet, { a: 90, b: 10 });
    await fleet.cmt('tune', 'b', '--bandwidth', 'none');
    await shared(fleet, { a: 50, b: 50 });
    await ask(fleet, 'c', 'host2');
    await fleet.cmt('limits', 'set', 'bandwidth@host2=40MiB/s');
    await shared(fleet, { a: 20, b: 60, c: 20 });
    expect((await fleet.cmt('limits')).stdout).toMatch(
      /^bandwidth +105 MB\/s +no limit .*\nbandwidth@host2 +41\.9 MB\/s +105 MB\/s /m,
    );
    gates.a.keep();
    await ended(fleet, 'a');
    await shared(fleet, { b: 60, c: 40 });
    await fleet.coordinator().kill();
    await fleet.cmt(
      'limits',
      'set',
      'bandwidth=default',
      'bandwidth@host2=default',
      'bandwidth@host3=8MiB/s',
    );
    // Who takes them over gives what holds now, and takes back what does not.
    await fleet.startCoordinator();
    await shared(fleet, { b: 8, c: null });
    gates.b.keep();
    gates.c.keep();
    await ended(fleet, 'b');
    await ended(fleet, 'c');
    const { stdout } = await fleet.cmt('logs', 'c');
    expect(stdout).toMatch(/its share of the links between its hosts is 21\.0 MB\/s/);
    expect(stdout).toMatch(/have no limit any more/);
  });

  it('is shared out though a record in Redis is damaged, which counts as none', async (context) => {
    const gate = promised();
    const fleet = await startStandInFleet(context, {
      host1: { containers: { a: 1, b: 1, c: 1 }, gate: () => gate.promise },
      host2: {},
    });
    await fleet.cmt('limits', 'set', 'out=3', 'in=3');
    for (const id of ['a', 'b', 'c']) await ask(fleet, id, 'host2', { bandwidth: 90 * MIB });
    const body = JSON.stringify({ v: 1, kind: 'tune', migration: 'b', tuning: { bandwidth: 'much' } });
    await fleet.redis.hset(keys.tuning('a'), 'bandwidth', '{"body":');
    await fleet.redis.hset(keys.tuning('b'), 'bandwidth', JSON.stringify({ body }));
    const damaged: string[] = [];
    const flows = await flowsUnderWay(fleet.redis, (id) => damaged.push(id));
    expect(flows.map(({ id, cap }) => [id, cap]).sort()).toEqual(['a', 'b', 'c'].map((id) => [id, 90 * MIB]));
    expect(damaged.sort()).toEqual(['a', 'b']);
    await fleet.cmt('limits', 'set', 'bandwidth=30MiB/s');
    await shared(fleet, { a: 10, b: 10, c: 10 });
    gate.keep();
  });

  it('is shared by one whose pages follow after its decision as well, until the last one has come', async (context) => {
    const [gate, pages] = [promised(), promised()];
    const fleet = await startStandInFleet(context, {
      host1: {
        containers: { follows: 1, complete: 1, sends: 1 },
        gate: (id) => (id === 'sends' ? gate.promise : Promise.resolve()),
      },
      host2: { lastPage: (id) => (id === 'sends' ? Promise.resolve() : pages.promise) },
    });
    await fleet.cmt('limits', 'set', 'bandwidth=30MiB/s', 'out=3', 'in=3');
    await ask(fleet, 'follows', 'host2', { mode: 'post-copy' });
    await ask(fleet, 'complete', 'host2');
    for (const id of ['follows', 'complete'])
      await until(async () => (await fleet.stateOf(id)) === 'committed');
    await ask(fleet, 'sends', 'host2');
    await shared(fleet, { follows: 15, sends: 15 });
    expect((await flowsUnderWay(fleet.redis, () => undefined)).map(({ id }) => id).sort()).toEqual([
      'follows',
      'sends',
    ]);
    pages.keep();
    await ended(fleet, 'follows');
    await shared(fleet, { sends: 30 });
    gate.keep();
    await ended(fleet, 'sends');
  });

  it('tells nobody anything where no link has a limit', async (context) => {
    const fleet = await startStandInFleet(context, { host1: { containers: { a: 1 } }, host2: {} });
    await ask(fleet, 'a', 'host2');
    await ended(fleet, 'a');
    expect(fleet.shares.size).toBe(0);
    expect(await fleet.redis.exists(keys.tuning('a'))).toBe(0);
  });

  it('is shared out by several coordinators, each for its own migrations, in its own name', async (context) => {
    const gate = promised();
    const fleet = await startStandInFleet(context, {
      host1: { containers: { a: 1, b: 1 }, gate: () => gate.promise },
      host2: {},
    });
    await fleet.cmt('limits', 'set', 'bandwidth=30MiB/s');
    await ask(fleet, 'a', 'host2');
    await ask(fleet, 'b', 'host2');
    await shared(fleet, { a: 15, b: 15 });
    const other = await loadKeyPair(join(fleet.world.redis.dir, 'other'));
    const logger = pino({ level: 'silent' });
    const second = new LinkShares({ redis: fleet.redis, keys: other, logger });
    context.onTestFinished(() => second.close());
    second.saw('b', true, null);
    second.look();
    const signerOf = async (id: string) => {
      const sealed = JSON.parse((await fleet.redis.hget(keys.tuning(id), 'share')) ?? '{}') as {
        key: string;
        body: string;
      };
      return { key: sealed.key, share: TuneOrder.parse(JSON.parse(sealed.body)).tuning.share };
    };
    await expect.poll(() => signerOf('b')).toEqual({ key: other.id, share: 15 * MIB });
    expect(await signerOf('a')).not.toMatchObject({ key: other.id });
    gate.keep();
  });
});
