/**
 * A laptop that moves a container over ssh, and is gone in the middle of it: in each row of the plan the container runs on one side, or will
 * once the laptop is back, and `cmt status` or `cmt resolve` from another terminal brings the migration to its end.
 *
 * One container goes through all of it; wherever it is, it is moved to the other host. `CMT_TEST_EVERY_ROW=1` kills the laptop in each
 * row, which takes some minutes more; without it in those that nothing else here is about and that differ most.
 */
import { join } from 'node:path';
import { MigrationReport } from '@cmt/contracts';
import { cutFromGateway, restoreLink } from '@cmt/lab';
import { connectProducer, follow, parseRedisUrl, type RedisConnection } from '@cmt/queue';
import { plan } from '@cmt/saga';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/agentless.ts';
import { onceFrozen, onceRestoring, shadow, type Mend } from '../support/broken-tools.ts';
import { expectOneCopy, expectOneHistory } from '../support/expectations.ts';
import { Traveller } from '../support/traveller.ts';

const LIMIT = { timeout: 240_000 };
let web: Traveller;
const mends: Mend[] = [];

beforeAll(async () => {
  web = await Traveller.start('gone');
}, 300_000);
afterAll(() => web.stop(), 60_000);
afterEach(async () => {
  for (const mend of mends.splice(0)) await mend();
  for (const { name } of web.laptop.lab.hosts) await restoreLink(web.laptop.lab, name);
});

describe('the laptop is gone', () => {
  let redis: RedisConnection;
  const open = async (): Promise<void> => {
    const address = parseRedisUrl(`unix://${join(web.laptop.stateDir, 'redis/redis.sock')}`);
    redis = await connectProducer(address, pino({ level: 'silent' }));
  };

  /** Asks, and does `act` at the beginning of that step. */
  async function migrateAnd(step: string, act: (name: string) => Promise<void>): Promise<string> {
    const name = web.newId();
    const asked = await web.migrate(name, { flags: ['--detach'] });
    expect(asked.ok, asked.error?.message).toBe(true);
    await open();
    try {
      for await (const event of follow(redis, name, true, AbortSignal.timeout(60_000))) {
        if (event.kind !== 'step-started' || event.step !== step) continue;
        await act(name);
        return name;
      }
      throw new Error(`${step} never began`);
    } finally {
      redis.disconnect();
    }
  }

  async function ended(name: string): Promise<MigrationReport> {
    let report: MigrationReport | undefined;
    await until(async () => {
      report = (await web.laptop.cmt(['status', name])).migration;
      return ['done', 'rolled-back', 'cancelled', 'needs-operator'].includes(report?.state ?? '');
    });
    return MigrationReport.parse(report);
  }

  const WAIT = 'while [ -e /run/waits ]; do sleep 0.05; done';
  const AT_RESTORE = onceRestoring(WAIT);
  const atDump = onceFrozen('web', `kill -STOP $$; ${WAIT}; kill -CONT $$`);

  /** The CRIU of a host waits until the returned function is called. */
  async function holdUp(host: string, when: string): Promise<() => Promise<void>> {
    await web.onHost(host, 'touch /run/waits');
    mends.push(await shadow(web.laptop.lab, host, 'criu', when));
    return async () => {
      await web.onHost(host, 'rm -f /run/waits');
    };
  }

  async function expectSettled(name: string, ...states: MigrationReport['state'][]): Promise<void> {
    const report = await ended(name);
    expect(states, JSON.stringify(report.failure)).toContain(report.state);
    if (report.state === 'done') web.here = web.there;
    await web.expectRunsOn(web.here);
    for (const host of ['host1', 'host2']) await until(() => web.isTidy(host));
    await expectOneHistory(web.laptop.lab, web.id, web.here);
  }

  test('only `cmt migrate`: the migration goes on', LIMIT, async () => {
    const name = await migrateAnd('freeze-and-dump', () => Promise.resolve());
    await expectSettled(name, 'done');
  });

  test('killed in the dump: the source runs on by itself, and is told of as rolled back', LIMIT, async () => {
    const goOn = await holdUp(web.here, atDump);
    const name = await migrateAnd('freeze-and-dump', async (asked) => {
      await until(async () => (await web.phaseOn(web.here, asked)) === 'FROZEN');
      await web.laptop.kill();
    });
    await goOn();
    await until(async () => (await web.phaseOn(web.here, name)) === 'RESUMED');
    await web.expectRunsOn(web.here);
    // It may be tried once more, one epoch later, before it is rolled back.
    await expectSettled(name, 'rolled-back', 'done');
  });

  test('cut off while the target restores: the target withdraws, the source runs on', LIMIT, async () => {
    const goOn = await holdUp(web.there, AT_RESTORE);
    const name = await migrateAnd('final-sync', async (asked) => {
      await until(
        async () => (await web.onHost(web.here, `jq .saidGo /var/lib/cmt/journal/${asked}.json`)) === 'true',
      );
      for (const host of ['host1', 'host2']) await cutFromGateway(web.laptop.lab, host);
    });
    await until(async () => (await web.phaseOn(web.there, name)) === 'DISCARDED');
    await web.expectRunsOn(web.here);
    await goOn();
    for (const host of ['host1', 'host2']) await restoreLink(web.laptop.lab, host);
    // It may be tried once more, one epoch later, before it is rolled back.
    await expectSettled(name, 'rolled-back', 'done');
  });

  test(
    'killed once the target has the container: it runs there, and the rest is done later',
    LIMIT,
    async () => {
      const name = await migrateAnd('confirm', () => web.laptop.kill());
      await web.expectRunsOn(web.there);
      await expectSettled(name, 'done');
    },
  );

  /** Rows that begin here: this kernel tracks no dirty pages, so no memory goes before the freeze. */
  const ROWS = plan.flatMap(({ kind, name }) => (kind === 'step' && name !== 'pre-dump' ? [name] : []));
  const SOME = ['prepare', 'release'];
  const rows = process.env['CMT_TEST_EVERY_ROW'] === '1' ? ROWS : ROWS.filter((row) => SOME.includes(row));

  /** Where it goes on by itself; where the target may have voted it waits for the laptop, frozen here and held there. */
  async function settlesAlone(name: string): Promise<void> {
    const ticks = async () => (await web.ticksOn('host1')) + (await web.ticksOn('host2'));
    const before = await ticks();
    const waits = async () =>
      (await web.phaseOn(web.here, name)) === 'FROZEN' && (await web.phaseOn(web.there, name)) === 'HELD';
    await until(async () => (await ticks()) > before || (await waits()), 60_000);
  }

  test.each(rows)(
    'killed at %s: one side runs or will, and another terminal brings it to its end',
    LIMIT,
    async (row) => {
      const name = await migrateAnd(row, () => web.laptop.kill());
      await settlesAlone(name);
      await expectSettled(name, 'done', 'rolled-back');
    },
  );

  test('and nobody can decide: `cmt resolve` in another terminal ends it over ssh', LIMIT, async () => {
    const target = web.there;
    const goOn = await holdUp(target, AT_RESTORE);
    const name = await migrateAnd('freeze-and-dump', async (asked) => {
      await cutFromGateway(web.laptop.lab, target);
      await goOn();
      await until(async () => (await web.phaseOn(target, asked)) === 'HELD');
      // The one that comes up again may have lost the decision.
      await web.laptop.killRedis();
    });
    const stuck = await ended(name);
    expect([stuck.state, stuck.failure?.code]).toEqual(['needs-operator', 'UNDECIDED']);
    expect([await web.phaseOn(web.here, name), await web.phaseOn(target, name)]).toEqual(['FROZEN', 'HELD']);
    const word = ['resolve', name, '--fenced', stuck.to];
    const unconfirmed = await web.laptop.cmt(word);
    expect([unconfirmed.code, unconfirmed.error?.code]).toEqual([3, 'FENCE_UNCONFIRMED']);
    const done = await web.laptop.cmt([...word, '--confirm', stuck.to]);
    expect([done.code, done.migration?.state, done.migration?.fenced], done.error?.message).toEqual([
      ...[4, 'rolled-back', 'target'],
    ]);
    await web.expectRunsOn(web.here);
    expect(await web.phaseOn(target, name)).toBe('HELD');
    await restoreLink(web.laptop.lab, target);
    for (const host of ['host1', 'host2']) await until(() => web.isTidy(host));
    await expectOneHistory(web.laptop.lab, web.id, web.here);
  });

  test('and there was never more nor less than one copy', async () => {
    await expectOneCopy(web.witness);
  });
});
