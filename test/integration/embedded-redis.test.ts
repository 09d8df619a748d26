/** The private Redis: a real `redis-server`, started, found again, kept single and stopped. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findDaemon, isRedisRunning, startRedis, stopRedis } from '@cmt/host';
import { pathWith } from '../support/tools.ts';

let dir: string;
let socket: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cmt redis-'));
  socket = join(dir, 'redis.sock');
});

afterEach(async () => {
  await stopRedis(dir);
  await rm(dir, { recursive: true, force: true });
});

const pidOf = async (): Promise<number | undefined> => (await findDaemon({ dir, name: 'redis' }))?.pid;

async function ask<T>(question: (redis: Redis) => Promise<T>, password?: string): Promise<T> {
  const redis = new Redis({ path: socket, lazyConnect: true, ...(password ? { password } : {}) });
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

describe('startRedis', () => {
  it('keeps every write, forgets nothing, and listens nowhere but on its socket', async () => {
    await startRedis({ dir, socket });
    const settings = await ask((redis) =>
      Promise.all(
        ['appendonly', 'appendfsync', 'maxmemory-policy', 'port'].map((name) => redis.config('GET', name)),
      ),
    );
    expect(settings.map((pair) => (pair as string[])[1])).toEqual(['yes', 'always', 'noeviction', '0']);
    expect((await stat(socket)).mode & 0o777).toBe(0o600);
  });

  it('starts one server however many ask at the same time', async () => {
    await Promise.all(Array.from({ length: 4 }, () => startRedis({ dir, socket })));
    const running = execFileSync('pgrep', ['-f', `redis-server.*${dir}|redis-server unixsocket:${socket}`], {
      encoding: 'utf8',
    });
    expect(running.trim().split('\n')).toEqual([String(await pidOf())]);
  });

  it('has its data again after a stop and after a kill', async () => {
    await startRedis({ dir, socket });
    await ask((redis) => redis.set('a', '1'));
    expect(await stopRedis(dir)).toBe(true);
    expect(await isRedisRunning(dir)).toBe(false);
    await startRedis({ dir, socket });
    await ask((redis) => redis.set('b', '2'));
    process.kill((await pidOf())!, 'SIGKILL');
    await expect.poll(() => isRedisRunning(dir)).toBe(false);
    await startRedis({ dir, socket });
    expect(await ask((redis) => redis.mget('a', 'b'))).toEqual(['1', '2']);
  });

  it('wants the password where it listens on TCP, and keeps it out of the process list', async () => {
    const tcp = { bind: '127.0.0.1', port: 6399, password: 'f00dfeed' };
    await startRedis({ dir, socket, tcp });
    await expect(ask((redis) => redis.ping())).rejects.toThrow('NOAUTH');
    expect(await ask((redis) => redis.ping(), tcp.password)).toBe('PONG');
    expect(await readFile(`/proc/${await pidOf()}/cmdline`, 'utf8')).not.toContain(tcp.password);
    expect((await stat(join(dir, 'redis.conf'))).mode & 0o777).toBe(0o600);
  });

  it('says what Redis said when it cannot start', async () => {
    const occupied = { bind: '203.0.113.1', port: 6399, password: 'x' };
    await expect(startRedis({ dir, socket, tcp: occupied })).rejects.toMatchObject({
      failure: { code: 'REDIS_UNREACHABLE', log: expect.stringContaining('203.0.113.1') as string },
    });
  });

  it('says how to get Redis where there is none', async () => {
    const bin = await pathWith(join(dir, 'bin'), ['flock', 'sh', 'cat', 'mv']);
    const bare = { dir, socket, argvPrefix: ['env', `PATH=${bin}`] };
    await expect(startRedis(bare)).rejects.toMatchObject({ failure: { code: 'REDIS_MISSING' } });
  });

  it('refuses a socket path that the kernel would cut off', async () => {
    const long = join(dir, 'x'.repeat(100), 'redis.sock');
    await expect(startRedis({ dir, socket: long })).rejects.toThrow('longer than 107 bytes');
  });
});

describe('stopRedis', () => {
  it('never signals a process that has got the pid of a Redis that is gone', async () => {
    await writeFile(join(dir, 'redis.pid'), `${process.pid} (redis-server) S ${'0 '.repeat(18)}12345 0\n`);
    expect(await stopRedis(dir)).toBe(false);
  });
});
