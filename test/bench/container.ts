/** What is moved: Redis with data in it, a ticker beside it in the same container, and clients outside. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { start } from '@cmt/host';
import { fabricExec, fabricExecArgv, labExec, type Lab } from '@cmt/lab';
import { nodeArgv, startCountingClient, type Observer } from '../../apps/lab/src/demo/observer.ts';
import {
  REDIS_ID,
  REDIS_PORT,
  redisAddress,
  redisContainer,
} from '../../apps/lab/src/demo/redis-container.ts';
import type { CountReport } from '../../apps/lab/src/demo/count.ts';
import type { Engine } from './engine.ts';
import { patient } from '../support/patience.ts';

/** One point of the benchmark: how large the container is, and how fast it is written to. */
export interface Load {
  readonly sizeMiB: number;
  readonly dirtyMiBps: number;
}

/** The container, as one engine holds it. */
export interface Held {
  readonly lab: Lab;
  readonly engine: Engine;
}

export interface Clients {
  /** INCR over one connection, a millisecond after each answer. */
  readonly probe: Observer<CountReport>;
  stop(): void;
}

const MIB = 1024 * 1024;
/** Values of 64 KiB that the writer goes round over: a quarter of the data. */
const dirtyKeys = ({ sizeMiB }: Load): number => Math.max(16, sizeMiB * 4);
const PIECE_MIB = 32;
const IDLE_LIMIT_MS = patient(60_000);
/** Between two ticks, and between two questions of the client: an emulated processor has no time for one each millisecond. */
const TICK_MS = patient(1);

/** Starts the container with its data on a host; resolves when the ticker knows what idle is. @returns the data's checksum */
export async function startLoaded({ lab, engine }: Held, host: string, load: Load): Promise<string> {
  for (const { name } of lab.hosts) await engine.remove(lab, name, REDIS_ID);
  const spec = redisContainer(lab);
  const trees = await labExec(lab, host, ['sh', '-c', 'ls -d /usr/lib/*/perl-base']);
  await engine.start(lab, host, {
    ...spec,
    argv: ['perl', '/ticker.pl', `${TICK_MS}`, ...spec.argv],
    programs: [...spec.programs, '/usr/bin/perl'],
    trees: trees.stdout.split('\n'),
    files: { '/ticker.pl': await readFile(join(import.meta.dirname, 'ticker.pl'), 'utf8') },
  });
  await idleP99({ lab, engine }, host);
  const fixed = fixedMiB(load);
  for (let from = 0; from < fixed; from += PIECE_MIB)
    await fill(lab, from, Math.min(fixed, from + PIECE_MIB));
  return await checksum(lab, load);
}

const fixedMiB = ({ sizeMiB, dirtyMiBps }: Load): number =>
  dirtyMiBps > 0 ? Math.ceil(sizeMiB * 0.75) : sizeMiB;

async function fill(lab: Lab, from: number, to: number): Promise<void> {
  const pieces = Array.from({ length: to - from }, (_, n) => {
    const key = `data:${from + n + 1}`;
    const head = `*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${MIB}\r\n`;
    return Buffer.concat([Buffer.from(head), randomBytes(MIB), Buffer.from('\r\n')]);
  });
  await redisCli(lab, ['--pipe'], Buffer.concat(pieces));
}

const SUM = `local sums = {}
for i = 1, tonumber(ARGV[1]) do sums[i] = redis.sha1hex(redis.call('GET', 'data:' .. i)) end
return redis.sha1hex(table.concat(sums))`;

/** Of the data that nobody writes to, as this Redis computes it. Holds every client up meanwhile. */
export async function checksum(lab: Lab, load: Load): Promise<string> {
  return (await redisCli(lab, ['EVAL', SUM, '0', `${fixedMiB(load)}`])).trim();
}

export async function startClients(lab: Lab, load: Load): Promise<Clients> {
  const server = { address: redisAddress(lab), port: REDIS_PORT, key: 'count', pauseMs: TICK_MS };
  const probe = await startCountingClient(lab, server);
  const writer = load.dirtyMiBps > 0 ? startWriter(lab, load) : null;
  return {
    probe,
    stop: () => {
      probe.kill();
      writer?.kill('SIGKILL');
    },
  };
}

function startWriter(lab: Lab, load: Load) {
  const where = [redisAddress(lab), `${REDIS_PORT}`, `${dirtyKeys(load)}`, `${load.dirtyMiBps * MIB}`];
  const [program = '', ...args] = fabricExecArgv(lab, [...nodeArgv('writer', import.meta.url), ...where]);
  const child = start(program, args, { stdio: 'ignore' });
  child.catch(() => undefined);
  return child;
}

/** Milliseconds between two ticks that 99 of 100 did not exceed while nothing was moved. */
export async function idleP99(held: Held, host: string): Promise<number> {
  const limit = Date.now() + IDLE_LIMIT_MS;
  for (;;) {
    const idle = Number(await read(held, host, 'idle'));
    if (idle > 0) return idle;
    if (Date.now() > limit) throw new Error('the ticker does not tick');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The longest time since `from` (milliseconds since 1970) in which the container did not run, by its own ticker. */
export async function longestStandstill(held: Held, host: string, from: number): Promise<number> {
  const text = await read(held, host, 'gaps');
  const gaps = text.split('\n').map((line) => line.split(' ').map(Number));
  return Math.max(0, ...gaps.flatMap(([at = 0, ms = 0]) => (at + ms >= from ? [ms] : [])));
}

/** What the ticker has written; empty where it has not. */
const read = async ({ lab, engine }: Held, host: string, name: string): Promise<string> =>
  readFile(await engine.seen(lab, host, REDIS_ID, join('/data', name)), 'utf8').catch(() => '');

async function redisCli(lab: Lab, args: readonly string[], input?: Buffer): Promise<string> {
  const argv = ['redis-cli', '-e', '-h', redisAddress(lab), '-p', `${REDIS_PORT}`, ...args];
  const limit = { timeoutMs: patient(120_000), ...(input === undefined ? {} : { input }) };
  const { code, stdout, stderr } = await fabricExec(lab, argv, limit);
  if (code === 0) return stdout;
  throw new Error(`redis-cli ${args[0] ?? ''}: ${stderr}${stdout}`);
}
