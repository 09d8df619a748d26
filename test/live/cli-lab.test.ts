/** `cmt lab` as somebody with one laptop uses it: up, move something, look, down, and nothing is left. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findDaemon } from '@cmt/host';
import { labDown, labLs } from '../../apps/lab/src/main.ts';
import { buildCmt, cmt, jsonLines } from '../support/cmt.ts';
import { expectOnlyMoved, lookAtHosts } from '../support/expectations.ts';
import { ask, startWorkload } from '../support/workloads.ts';

const NAME = 'clilab';
let home: string;
const run = (...args: string[]) => cmt(args, { home });

beforeAll(async () => {
  await buildCmt();
  home = await mkdtemp(join(tmpdir(), 'cmt-clilab-'));
});

afterAll(async () => {
  await run('lab', 'down', '--name', NAME);
  await labDown({ name: NAME });
  await rm(home, { recursive: true, force: true });
});

const theLab = async () => (await labLs()).find(({ name }) => name === NAME);
const theRedis = () => findDaemon({ dir: join(home, 'state/cmt/redis'), name: 'redis' });

describe('cmt lab', { timeout: 180_000 }, () => {
  it('up ends when both workers have announced themselves, and again changes nothing', async () => {
    const up = await run('lab', 'up', '--name', NAME, '--json');
    expect([up.code, up.stderr]).toEqual([0, expect.stringContaining('workers run on host1, host2')]);
    expect(jsonLines(up.stdout)).toMatchObject([
      { ok: true, lab: { hosts: [{ name: 'host1' }, { name: 'host2' }] } },
    ]);
    const { hosts } = jsonLines((await run('hosts', '--json')).stdout)[0] as { hosts: object[] };
    expect(hosts).toMatchObject([
      { name: 'host1', state: 'online' },
      { name: 'host2', state: 'online' },
    ]);
    const before = await theRedis();
    expect((await run('lab', 'up', '--name', NAME)).code).toBe(0);
    expect(await theRedis()).toEqual(before);
    expect((await run('lab', 'ls')).stdout).toContain(`${NAME} `);
  });

  it('refuses a second lab on the same state directory', async () => {
    const { code, stderr } = await run('lab', 'up', '--name', 'clilabtwo');
    expect([code, stderr]).toEqual([3, expect.stringContaining(`serves lab ${NAME}`)]);
  });

  it('exec gives the program’s own output and exit code, in a host and in the fabric', async () => {
    const inHost = await run('lab', 'exec', '--name', NAME, 'host1', 'sh', '-c', 'hostname; exit 9');
    expect([inHost.code, inHost.stdout]).toEqual([9, 'host1']);
    const gateway = (await theLab())?.fabric.gateway ?? '';
    const outside = await run('lab', 'exec', '--name', NAME, 'fabric', 'ip', '-brief', 'address');
    expect(outside.stdout).toContain(`${gateway}/24`);
  });

  it('moves a container', async () => {
    const lab = await theLab();
    await startWorkload(lab!, 'host1', { id: 'counter', program: 'counter', net: { kind: 'none' } });
    const before = await lookAtHosts(lab!);
    const { code, stdout } = await run('migrate', 'counter', '--src', 'host1', '--dst', 'host2', '--json');
    expect(jsonLines(stdout)).toMatchObject([{ ok: true, migration: { state: 'done', decision: 'COMMIT' } }]);
    expect(code).toBe(0);
    expect(await ask(lab!, 'host2', 'counter', 'state')).toBeTruthy();
    await expectOnlyMoved(lab!, before);
  });

  it('down leaves nothing but keys and logs', async () => {
    expect((await run('lab', 'down', '--name', NAME)).code).toBe(0);
    expect(await theLab()).toBeUndefined();
    expect(await theRedis()).toBeUndefined();
    expect(await readdir(join(home, 'state/cmt'))).not.toContain('redis');
  });
});
