/** `cmt doctor` against a real Redis, with workers that answer what a test tells them. */
import { keys, type Diagnosis, type Leg, type LegResult } from '@cmt/contracts';
import { announceOnce, consumeOrders } from '@cmt/queue';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { workStarter } from '../../apps/coordinator/src/scheduled-work.ts';
import { buildCmt, cmt, jsonLines } from '../support/cmt.ts';
import { hostRecord } from '../support/host-record.ts';
import { QUICK, startQueueWorld, type QueueWorld } from '../support/queue-world.ts';
import { scripted } from '../support/scripted-coordinator.ts';

// Each test starts the whole program several times, and a host that does not answer is waited for.
vi.setConfig({ testTimeout: 90_000 });

let world: QueueWorld;
let home: string;
const asked: Leg[] = [];

const bad: Diagnosis = {
  ...{
    level: 'problem',
    area: 'criu',
    about: 'host2',
    message: 'CRIU is not installed',
    remedy: 'install it',
  },
};
const answer = (leg: Leg, diagnoses: Diagnosis[]): LegResult => {
  asked.push(leg);
  return { v: 1, results: [{ ok: true, step: 'doctor', output: { diagnoses }, ms: 1 }] };
};

beforeAll(async () => {
  await buildCmt();
  home = await mkdtemp(join(tmpdir(), 'cmt-doctor-'));
  world = await startQueueWorld();
  world.coordinator(scripted);
  const { keys: own, trust, logger } = world;
  const redis = world.connection();
  consumeOrders(
    {
      redis,
      trust,
      logger,
      keys: own,
      name: 'test',
      ledgerDir: join(world.redis.dir, 'orders'),
      removedDir: join(world.redis.dir, 'removed'),
      timing: QUICK,
    },
    workStarter(redis, own),
  );
  world.worker('host1', (leg) => Promise.resolve(answer(leg, [])));
  world.worker('host2', (leg) => Promise.resolve(answer(leg, [bad])));
});

afterAll(async () => {
  await world.close();
  await rm(home, { recursive: true, force: true });
});

/** As workers do while they live. */
async function announced(...names: string[]): Promise<void> {
  const redis = world.connection();
  for (const name of names)
    await announceOnce(redis, { ...hostRecord(name, '10.0.0.1'), seenAt: Date.now() });
}

const run = (...args: string[]) =>
  cmt(['doctor', ...args], { home, env: { CMT_REDIS: world.redis.url, CMT_STATE_DIR: world.redis.dir } });
const diagnosesOf = (stdout: string) => jsonLines(stdout)[0]?.diagnoses as Diagnosis[];

describe('cmt doctor', () => {
  it('asks every host, and exits 3 with the remedy when one has a problem', async () => {
    await announced('host1', 'host2');
    const { code, stdout } = await run();
    expect(code).toBe(3);
    expect(stdout).toContain('problem  host2: CRIU is not installed\n         install it\n1 problem, ');
    expect(asked.map(({ host, calls }) => [host, peersOf(calls[0]?.input)])).toEqual(
      expect.arrayContaining([
        ['host1', ['host2']],
        ['host2', ['host1']],
      ]),
    );
  });

  it('of one host says nothing about the others, and exits 0 when all is well', async () => {
    await announced('host1', 'host2');
    const { code, stdout } = await run('host1', '--json');
    const diagnoses = diagnosesOf(stdout);
    expect([code, diagnoses.filter(({ level }) => level !== 'ok')]).toEqual([0, []]);
    expect(diagnoses.map(({ about }) => about)).not.toContain('host2');
    expect(new Set(diagnoses.map(({ area }) => area))).toEqual(
      new Set(['redis', 'clock', 'coordinator', 'worker']),
    );
  });

  it('tells of a clock that is off, a worker that is silent, and a host that is not there', async () => {
    await announced('host1', 'host2');
    const redis = world.connection();
    await announceOnce(redis, { ...hostRecord('late', '10.0.0.9'), seenAt: Date.now() - 3_600_000 });
    const clock = diagnosesOf((await run('late', '--json')).stdout).find(
      ({ area, about }) => area === 'clock' && about === 'late',
    );
    expect(clock).toMatchObject({
      level: 'problem',
      message: expect.stringMatching(/^its clock is 36\d\d\.\d s behind/) as string,
    });
    await redis.zadd(keys.hosts, 0, 'late');
    expect(diagnosesOf((await run('late', '--json')).stdout)).toContainEqual(
      expect.objectContaining({ level: 'problem', message: 'its worker is offline' }),
    );
    await redis.zrem(keys.hosts, 'late');
    const nobody = await run('nobody');
    expect([nobody.code, nobody.stderr]).toEqual([3, expect.stringContaining('error HOST_UNKNOWN: ')]);
  });

  it('tries what a user of Redis may do', async () => {
    const redis = world.connection();
    await redis.acl(
      'SETUSER',
      'narrow',
      'on',
      '>secret',
      '~{cmt}:*',
      '&*',
      '+@read',
      '+info',
      '+time',
      '+eval',
      '+evalsha',
      '+multi',
      '+exec',
    );
    const url = `redis://narrow:secret@127.0.0.1:${String(world.redis.port)}`;
    const { code, stdout } = await run('host1', '--json', '--redis', url);
    // It cannot even ask the hosts: what speaks against it is said all the same.
    expect(code).toBe(3);
    expect(stdout).toContain('this user may not do what cmt needs');
  });

  it('looks at this machine without any Redis', async () => {
    const { code, stdout } = await run('--local', '--json', '--redis', 'redis://127.0.0.1:1');
    const areas = diagnosesOf(stdout).map(({ area }) => area);
    expect([0, 3]).toContain(code);
    expect(areas).toEqual(expect.arrayContaining(['machine', 'criu', 'runtime']));
    expect((await run('host1', '--local')).code).toBe(2);
  });
});

const peersOf = (input: unknown): string[] =>
  (input as { peers: { name: string }[] }).peers.map(({ name }) => name);
