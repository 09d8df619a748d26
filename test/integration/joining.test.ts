/** What workers and coordinators refuse to begin with: the bundled `cmt` against a real Redis that is not as it should be. */
import { announceOnce, lookBeforeJoining, parseRedisUrl } from '@cmt/queue';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { buildCmt, cmt, startCmt } from '../support/cmt.ts';
import { hostRecord } from '../support/host-record.ts';
import { freePort } from '../support/sshd.ts';
import { startQueueWorld, type QueueWorld } from '../support/queue-world.ts';

// Each test starts the whole program several times.
vi.setConfig({ testTimeout: 90_000 });

let home: string;
let world: QueueWorld;

beforeAll(buildCmt);
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'cmt-joining-'));
  world = await startQueueWorld();
});
afterEach(async () => {
  vi.useRealTimers();
  await world.close();
  await rm(home, { recursive: true, force: true });
});

const url = (user = ''): string => `redis://${user}127.0.0.1:${String(world.redis.port)}`;
const args = (verb: 'worker' | 'coordinator', redis: string, state = 'state'): string[] => [
  ...[verb, '--redis', redis, '--state-dir', join(home, state)],
  ...(verb === 'worker'
    ? ['--name', 'alpha', '--address', '127.0.0.1', '--images-dir', join(home, 'images')]
    : []),
];
const refused = async (argv: string[]) => {
  const { code, stderr } = await cmt(argv, { home });
  const said = stderr.split('\n').find((line) => line.startsWith('error '));
  return { code, said };
};

describe.each(['worker', 'coordinator'] as const)('cmt %s', (verb) => {
  it('refuses a Redis that throws away what it was given', async () => {
    await world.connection().config('SET', 'maxmemory-policy', 'allkeys-lru');
    const { code, said } = await refused(args(verb, url()));
    expect([code, said]).toEqual([3, expect.stringMatching(/^error REDIS_FORGETS: .*allkeys-lru/)]);
  });

  it('refuses a wrong password, and shows none', async () => {
    await world.connection().config('SET', 'requirepass', 'right');
    for (const user of ['', ':wrong@']) {
      const { code, said } = await refused(args(verb, url(user)));
      expect([code, said]).toEqual([6, expect.stringMatching(/^error REDIS_REFUSED: .*(WRONGPASS|NOAUTH)/)]);
      expect(said).not.toContain('wrong@');
    }
    const client = await cmt(['hosts', '--redis', url(':wrong@')], { home });
    expect([client.code, client.stderr]).toEqual([6, expect.stringContaining('error REDIS_REFUSED: ')]);
  });
});

describe.each(['worker', 'coordinator'] as const)('the health endpoint of a %s', (verb) => {
  it('says that it is well, and that it is not while Redis is away; SIGTERM ends it with 0', async () => {
    const port = await freePort();
    const child = startCmt([...args(verb, url()), '--health-port', String(port)], { home });
    await ready(child.stderr);
    const asked = async () => {
      const response = await fetch(`http://127.0.0.1:${String(port)}/healthz`);
      return [response.status, await response.json()];
    };
    expect(await asked()).toEqual([200, expect.objectContaining({ ok: true })]);
    await world.redis.kill();
    await expect.poll(asked, { timeout: 20_000 }).toEqual([503, expect.objectContaining({ ok: false })]);
    // Not by execa, which would kill it five seconds later: without Redis it takes its time.
    process.kill(child.pid ?? 0, 'SIGTERM');
    expect((await child).exitCode).toBe(0);
  });
});

it('a second coordinator of one state directory is refused; one with its own is not', async () => {
  const first = startCmt(args('coordinator', url()), { home });
  await ready(first.stderr);
  const { code, said } = await refused(args('coordinator', url()));
  expect([code, said]).toEqual([3, expect.stringMatching(/^error COORDINATOR_RUNS: .*state/)]);
  const other = startCmt(args('coordinator', url(), 'other'), { home });
  await ready(other.stderr);
  first.kill('SIGKILL');
  await first;
  // What a crash leaves behind keeps nobody out.
  const again = startCmt(args('coordinator', url()), { home });
  await ready(again.stderr);
  for (const child of [other, again]) child.kill('SIGTERM');
  expect([(await other).exitCode, (await again).exitCode]).toEqual([0, 0]);
});

it('a worker whose name another machine uses is refused, until that one is silent', async () => {
  await announceOnce(world.connection(), hostRecord('alpha', '10.0.0.7'));
  const { code, said } = await refused(args('worker', url()));
  expect([code, said]).toEqual([3, expect.stringMatching(/^error HOST_NAME_TAKEN: .*alpha.*10\.0\.0\.7/)]);
});

it('a machine whose clock is off is refused', async () => {
  const address = parseRedisUrl(url());
  const look = () => lookBeforeJoining(address, { name: 'alpha' }, world.logger);
  await expect(look()).resolves.toBeUndefined();
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
  await expect(look()).rejects.toMatchObject({
    failure: { code: 'CLOCK_OFF', details: { host: 'alpha', offset: 3600 } },
  });
});

it('a Redis that is away is waited for', async () => {
  await world.redis.kill();
  await expect(
    lookBeforeJoining(parseRedisUrl(url()), { name: 'alpha' }, world.logger),
  ).resolves.toBeUndefined();
});

const ready = (stderr: NodeJS.ReadableStream | null): Promise<void> =>
  new Promise((resolve) => stderr?.on('data', (bytes: Buffer) => bytes.includes('"ready"') && resolve()));
