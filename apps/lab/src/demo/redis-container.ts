/** The container of the demo: a real redis-server with several threads and data that exists in memory only. */
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Finished } from '@cmt/host';
import { fabricExec } from '../exec.ts';
import type { Lab } from '../lab.ts';
import { LabError } from '../lab-error.ts';
import type { ContainerSpec } from './container.ts';

export const REDIS_ID = 'redis';
export const REDIS_PORT = 6379;
export const DATA_MIB = 16;

const CHECKSUM = `local sums = {}
for i = 1, tonumber(ARGV[1]) do sums[i] = redis.sha1hex(redis.call('GET', 'data:' .. i)) end
return redis.sha1hex(table.concat(sums))`;

/** An address on the segment that all hosts share, above those of the hosts. */
export const redisAddress = (lab: Lab): string => `10.77.${lab.index}.100`;

export function redisContainer(lab: Lab): ContainerSpec {
  const inMemory = ['--save', '', '--appendonly', 'no', '--io-threads', '4'];
  const open = ['--bind', '0.0.0.0', '--port', `${REDIS_PORT}`, '--protected-mode', 'no'];
  return {
    id: REDIS_ID,
    argv: ['redis-server', ...open, ...inMemory, '--dir', '/data'],
    net: { kind: 'bridge', address: redisAddress(lab) },
    programs: ['/usr/bin/redis-server'],
  };
}

/** Puts random data into it, in pieces of a mebibyte. @returns its checksum as that Redis computes it */
export async function fillRedis(lab: Lab, signal: AbortSignal): Promise<string> {
  const pieces = Array.from({ length: DATA_MIB }, (_, n) => set(`data:${n + 1}`, randomBytes(1024 * 1024)));
  await answering(lab, signal);
  await redisCli(lab, ['--pipe'], signal, Buffer.concat(pieces));
  return checksum(lab, signal);
}

/** The checksum of all that `fillRedis` put in, over the bytes as they are now. Holds every other client up for a moment. */
export async function checksum(lab: Lab, signal: AbortSignal): Promise<string> {
  const { stdout } = await redisCli(lab, ['EVAL', CHECKSUM, '0', `${DATA_MIB}`], signal);
  return stdout.trim();
}

async function answering(lab: Lab, signal: AbortSignal, tries = 100): Promise<void> {
  try {
    await redisCli(lab, ['PING'], signal);
  } catch (error) {
    if (tries === 0 || signal.aborted) throw error;
    await pause(50, undefined, { signal });
    await answering(lab, signal, tries - 1);
  }
}

const set = (key: string, value: Buffer): Buffer =>
  Buffer.concat([
    Buffer.from(`*3\r\n$3\r\nSET\r\n$${Buffer.byteLength(key)}\r\n${key}\r\n$${value.length}\r\n`),
    value,
    Buffer.from('\r\n'),
  ]);

async function redisCli(
  lab: Lab,
  args: readonly string[],
  signal: AbortSignal,
  input?: Buffer,
): Promise<Finished> {
  const argv = ['redis-cli', '-e', '-h', redisAddress(lab), '-p', `${REDIS_PORT}`, ...args];
  const limit = { timeoutMs: 30_000, signal, ...(input === undefined ? {} : { input }) };
  const finished = await fabricExec(lab, argv, limit);
  if (finished.code === 0) return finished;
  throw new LabError(`redis-cli ${args[0] ?? ''}: ${finished.stderr}${finished.stdout}`);
}
