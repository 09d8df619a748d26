/** With no Redis configured: a private one and a real coordinator, which outlive the CLI that started them. */
import { connectProducer, coordinatorAlive, parseRedisUrl } from '@cmt/queue';
import { findDaemon, stopDaemon, stopRedis } from '@cmt/host';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildCmt, cmt, jsonLines } from '../support/cmt.ts';
import { pathWith } from '../support/tools.ts';

let home: string;
let stateDir: string;

beforeAll(buildCmt);

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'cmt embedded-'));
  stateDir = join(home, 'state/cmt');
  return async () => {
    await stopDaemon({ dir: stateDir, name: 'coordinator' }, 10_000);
    await stopRedis(join(stateDir, 'redis'));
    await rm(home, { recursive: true, force: true });
  };
});

const redis = () => findDaemon({ dir: join(stateDir, 'redis'), name: 'redis' });
const coordinator = () => findDaemon({ dir: stateDir, name: 'coordinator' });

async function isTaking(): Promise<boolean> {
  const url = `unix://${encodeURI(join(stateDir, 'redis/redis.sock'))}`;
  const connection = await connectProducer(parseRedisUrl(url), pino({ level: 'silent' }));
  return coordinatorAlive(connection).finally(() => connection.disconnect());
}

describe('the embedded default', () => {
  it('starts once, is found again, and is nobody else’s', async () => {
    const first = await Promise.all([cmt(['hosts', '--json'], { home }), cmt(['status'], { home })]);
    expect(first.map(({ code }) => code)).toEqual([0, 0]);
    expect(jsonLines(first[0].stdout)).toEqual([{ v: 1, ok: true, hosts: [] }]);
    await expect.poll(isTaking, { timeout: 15_000 }).toBe(true);
    const before = [await redis(), await coordinator()];
    expect(before).toEqual([expect.anything(), expect.anything()]);
    await cmt(['ps'], { home });
    expect([await redis(), await coordinator()]).toEqual(before);
    expect((await stat(stateDir)).mode & 0o777).toBe(0o700);
    expect((await stat(join(stateDir, 'coordinator.json'))).mode & 0o777).toBe(0o600);
  });

  it('comes back with its data after both were killed', async () => {
    await cmt(['hosts'], { home });
    for (const daemon of [await coordinator(), await redis()]) process.kill(daemon!.pid, 'SIGKILL');
    await expect.poll(redis).toBeUndefined();
    expect((await cmt(['hosts'], { home })).code).toBe(0);
    await expect.poll(isTaking, { timeout: 15_000 }).toBe(true);
  });

  it('that cannot be is an error with a remedy', async () => {
    const missing = await cmt(['hosts'], {
      home,
      env: { PATH: await pathWith(join(home, 'bin'), ['flock', 'sh', 'cat', 'mv']) },
    });
    expect([missing.code, missing.stderr]).toEqual([6, expect.stringContaining('error REDIS_MISSING: ')]);
    expect(missing.stderr).toContain('apt-get install redis-server');
    const long = join(home, 'x'.repeat(100));
    const cut = await cmt(['hosts', '--state-dir', long], { home });
    expect([cut.code, cut.stderr]).toEqual([6, expect.stringContaining('longer than 107 bytes')]);
  });
});
