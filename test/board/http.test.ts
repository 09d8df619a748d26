/** The board as programs meet it: who is let in, what can be changed (nothing), what is told to Prometheus. */
import { keys } from '@cmt/contracts';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { hookFailed, rolledBack, SECRET, wellDone } from '../support/board-scenes.ts';
import { startBoardWorld, type BoardWorld, type RunningBoard } from '../support/board-world.ts';
import { cmt } from '../support/cmt.ts';
import { hostRecord } from '../support/host-record.ts';
import { requestOf } from '../support/queue-world.ts';

// Generous: the machine may be building and testing other things.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 180_000 });

let world: BoardWorld;
let board: RunningBoard;

beforeAll(async () => {
  world = await startBoardWorld();
  await world.announce(hostRecord('alpha', '10.0.0.1', ['web', 'db']));
  await world.announce(hostRecord('beta', '10.0.0.2'), 'falls silent');
  board = await world.board();
  for (const scene of [wellDone('m-web', 'web'), rolledBack('m-db', 'db'), hookFailed('m-hook', 'mail')]) {
    await world.play(scene);
    await world.ended(scene.id);
  }
});
afterAll(() => world.close());

interface Asking {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}
const ask = (path: string, how: Asking = {}, at = board) =>
  fetch(new URL(path, at.url), { redirect: 'manual', ...how });
const bearer = (at = board) => ({ authorization: `Bearer ${at.token}` });
const known = (path: string, how: Asking = {}, at = board) =>
  ask(path, { ...how, headers: { ...bearer(at), ...how.headers } }, at);

describe('who is let in', () => {
  it.each(['/', '/metrics', '/live/fleet', '/migrations/m-web', '/queues/', '/queues/api/queues'])(
    'nobody without the token: %s',
    async (path) => {
      const program = await ask(path);
      expect(program.status).toBe(401);
      expect(await program.text()).toBe('The token of the board is needed.\n');
      const browser = await ask(path, { headers: { accept: 'text/html' } });
      expect([browser.status, browser.headers.get('location')]).toEqual([303, '/login']);
      expect((await ask(path, { headers: { authorization: 'Bearer not-the-token-at-all' } })).status).toBe(
        401,
      );
    },
  );

  it('says how it is to anybody', async () => {
    const health = await ask('/healthz');
    expect([health.status, await health.json()]).toEqual([200, { ok: true, redis: 'ready' }]);
  });

  it('takes the token out of the address at once, into a cookie for this site alone', async () => {
    const entered = await ask(`/migrations/m-web?token=${board.token}`);
    expect([entered.status, entered.headers.get('location')]).toEqual([303, '/migrations/m-web']);
    const cookie = entered.headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(/; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200$/);
    expect(cookie).not.toContain(board.token);
    const [pair = ''] = cookie.split(';');
    expect((await ask('/', { headers: { cookie: pair } })).status).toBe(200);
    const forged = `${pair.slice(0, -2)}xx`;
    expect((await ask('/', { headers: { cookie: forged } })).status).toBe(401);
    const elsewhere = await ask(`${board.url}/example.org/?token=${board.token}`);
    expect(elsewhere.headers.get('location')).toMatch(/^\/(?!\/)/);
    expect((await ask('/?token=wrong-wrong-wrong-wrong')).status).toBe(401);
  });

  it('lets no other site sign anybody in or out', async () => {
    const form = { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'cross-site' };
    const body = `token=${board.token}`;
    expect((await ask('/login', { method: 'POST', headers: form, body })).status).toBe(403);
    expect((await ask('/logout', { method: 'POST', headers: form })).status).toBe(403);
  });

  it('allows its pages nothing from elsewhere', async () => {
    const { headers } = await known('/');
    expect(headers.get('content-security-policy')).toContain(
      "default-src 'none'; script-src 'self'; style-src 'self'",
    );
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('cache-control')).toBe('no-store');
    expect((await (await known('/queues/')).text()).match(/https?:\/\//g)).toBeNull();
  });
});

describe('Bull Board', () => {
  const jobs = async (queue: string) => {
    const query = `activeQueue=${queue}&status=latest&page=1&jobsPerPage=20`;
    return await (await known(`/queues/api/queues?${query}`)).text();
  };

  it('has a queue for every host that announces itself, also later', async () => {
    await world.announce(hostRecord('gamma', '10.0.0.3'));
    await expect
      .poll(() => jobs('cmt.migrations'), { timeout: 15_000 })
      .toMatch(/cmt\.migrations.*cmt\.host\.alpha.*cmt\.host\.gamma/s);
  });

  it('shows jobs without what they hold', async () => {
    const text = await jobs('cmt.migrations');
    expect(text).toContain('migration_m-db');
    expect(text).toContain('not shown');
    expect(text).not.toContain(SECRET);
    for (const path of ['', '/flow', '/logs']) {
      const detail = await known(`/queues/api/queues/cmt.migrations/migration_m-db${path}`);
      expect(await detail.text()).not.toContain(SECRET);
    }
  });

  it.each([
    ['PUT', '/queues/api/queues/cmt.migrations/pause'],
    ['PUT', '/queues/api/queues/cmt.migrations/migration_m-web/clean'],
    ['PUT', '/queues/api/queues/cmt.migrations/empty'],
    ['PUT', '/queues/api/queues/cmt.migrations/obliterate'],
    ['POST', '/queues/api/queues/cmt.migrations/add'],
    ['PATCH', '/queues/api/queues/cmt.migrations/migration_m-web/update-data'],
    ['DELETE', '/queues/anything'],
  ])('changes nothing: %s %s', async (method, path) => {
    const headers = { 'content-type': 'application/json' };
    const refused = await known(path, { method, headers, body: '{"name":"x","data":{}}' });
    expect(refused.status).toBe(405);
    expect(await world.queue.connection().exists('{cmt}:cmt.migrations:migration_m-web')).toBe(1);
  });
});

/** Lines of the page, without those of the board's own process. */
const metrics = async (at = board): Promise<string[]> =>
  (await (await known('/metrics', {}, at)).text())
    .split('\n')
    .filter((line) => /^cmt_/.test(line) && !line.startsWith('cmt_board_'));

describe('/metrics', () => {
  it('counts how migrations ended, for whom, and why', async () => {
    const lines = await metrics();
    expect(lines).toEqual(
      expect.arrayContaining([
        'cmt_migrations_total{state="done"} 1',
        'cmt_migrations_total{state="rolled-back"} 2',
        'cmt_host_migrations_total{host="alpha",direction="out",state="done"} 1',
        'cmt_host_migrations_total{host="beta",direction="in",state="rolled-back"} 2',
        'cmt_failures_total{code="RESTORE_FAILED",host="beta"} 1',
        'cmt_failures_total{code="HOOK_FAILED",host=""} 1',
        'cmt_image_bytes_total{from="alpha",to="beta"} 18400000',
        'cmt_blackout_seconds_bucket{le="0.3"} 0',
        'cmt_blackout_seconds_bucket{le="0.5"} 1',
        'cmt_blackout_seconds_bucket{le="+Inf"} 1',
        'cmt_blackout_seconds_sum 0.402',
        'cmt_migration_duration_seconds_count{state="rolled-back"} 2',
        'cmt_step_duration_seconds_count{step="inspect"} 3',
        'cmt_host_containers{host="alpha"} 2',
        'cmt_host_up{host="alpha"} 1',
        'cmt_coordinator_up 1',
        'cmt_queue_jobs{queue="cmt.migrations",state="active"} 0',
      ]),
    );
  });

  it('says the same at every board, and after a start', async () => {
    const other = await world.board();
    const settled = (lines: string[]) =>
      lines.filter((line) => /_total|_count|_bucket|_sum/.test(line)).sort();
    expect(settled(await metrics(other))).toEqual(settled(await metrics()));
    await other.stop();
  });

  it('counts an end once, however often it is stored', async () => {
    const redis = world.queue.connection();
    const before = await redis.hget(keys.tally, 'end|done');
    await world.play({ ...wellDone('m-again', 'web'), acts: [] });
    await world.ended('m-again');
    expect(Number(await redis.hget(keys.tally, 'end|done'))).toBe(Number(before) + 1);
    // Asked for once more under the same id: known, and not counted again.
    const { submitMigration } = await import('@cmt/queue');
    await submitMigration(redis, requestOf('m-again', { container: 'web' }), world.queue.keys);
    expect(Number(await redis.hget(keys.tally, 'end|done'))).toBe(Number(before) + 1);
  });
});

describe('a Redis user that may only read', () => {
  it('is enough for everything that is shown', async () => {
    const admin = world.queue.connection();
    const rights = '+@read +@connection +eval +evalsha +script|load +info +time -@dangerous +info';
    await admin.call(
      'ACL',
      'SETUSER',
      'looker',
      'on',
      '>looking',
      'resetkeys',
      '~{cmt}:*',
      ...rights.split(' '),
    );
    const { port } = world.queue.redis;
    const careful = await world.board({ CMT_REDIS: `redis://looker:looking@127.0.0.1:${port}` });
    expect((await known('/healthz', {}, careful)).status).toBe(200);
    expect(await metrics(careful)).toContain('cmt_migrations_total{state="rolled-back"} 2');
    const queues = await known('/queues/api/queues?activeQueue=cmt.migrations&status=latest', {}, careful);
    expect(await queues.text()).toContain('migration_m-web');
    const stream = await known('/live/migrations/m-web', {}, careful);
    let heard = '';
    for await (const bytes of stream.body ?? []) {
      heard += Buffer.from(bytes as Uint8Array).toString();
      if (heard.includes('event: lines')) break;
    }
    expect(heard).toContain('"state":"done"');
    await careful.stop();
  });
});

describe('cmt board', () => {
  const run = (...args: string[]) =>
    cmt(['board', ...args], { home: world.home, env: { CMT_REDIS: world.queue.redis.url } });

  it('says what is wrong with a port that is taken, a token, a Redis', async () => {
    const { port } = new URL(board.url);
    const taken = await run('--board-port', port, '--json');
    expect([taken.code, JSON.parse(taken.stdout)]).toMatchObject([
      ...[3, { ok: false, error: { code: 'BOARD_CANNOT_LISTEN' } }],
    ]);
    const short = await cmt(['board'], {
      home: world.home,
      env: { CMT_REDIS: world.queue.redis.url, CMT_BOARD_TOKEN: 'short' },
    });
    expect([short.code, short.stderr]).toEqual([3, expect.stringContaining('BOARD_TOKEN_UNUSABLE')]);
    const away = await cmt(['board', '--redis', 'redis://127.0.0.1:1'], { home: world.home });
    expect(away.code).toBe(6);
  });
});
