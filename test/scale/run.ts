/** One measurement: simulated hosts, and everything else real. */
import { CmtClient } from '@cmt/client';
import { CoordinatorConfig, keys, MIGRATIONS_QUEUE, PREFIX } from '@cmt/contracts';
import { COORDINATOR_NODE_FLAGS, run as runProgram, start } from '@cmt/host';
import { loadKeyPair, openConnection, parseRedisUrl, type RedisConnection } from '@cmt/queue';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import {
  countsOf,
  cpuRatio,
  cpuSince,
  idleRate,
  mostCalled,
  perMigration,
  quantile,
  round,
  spentBy,
  until,
  usageOf,
  workOf,
  type Usage,
} from './measure.ts';
import {
  HostsSaw,
  JOBS_OF_A_MIGRATION,
  wishOf,
  type AskingOrder,
  type BareOrder,
  type HostsOrder,
} from './orders.ts';
import { bundled, profiled, startProgram, type Program } from './program.ts';

export interface Wanted {
  readonly hosts: number;
  readonly migrations: number;
  readonly coordinators: number;
  /** Processes that share the hosts. */
  readonly processes: number;
  /** Containers that each host announces. */
  readonly containers: number;
}

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
/** Migrations that are measured alone before the others. */
export const PROBES = 20;
/** What a coordinator works on at the same time, unless it is told otherwise. */
const MIGRATIONS_AT_ONCE = CoordinatorConfig.shape.concurrency.parse(undefined);

/**
 * Each with a Redis of its own: one that holds what others have left writes it anew with its log, again and again.
 * Everything is gone afterwards.
 * @throws when a migration did not end as done, or none did for an hour
 */
export async function measure(wanted: Wanted) {
  const own = await withFreshRedis((...redis) => measureCmt(wanted, ...redis));
  const flow = await withFreshRedis((...redis) => measureBare('flow', wanted, ...redis));
  const chain = await withFreshRedis((...redis) => measureBare('chain', wanted, ...redis));
  const share = (bare: { migrationsPerSecond: number }): number =>
    round(own.migrationsPerSecond / bare.migrationsPerSecond, 2);
  const ownSpent = spentBy({ ...own, cpuMsPerMigration: withRedis(own) });
  const ratios = {
    ...{ ratio: share(flow), ratioToChain: share(chain) },
    cpuRatio: cpuRatio(ownSpent, spentBy(flow)),
    workMsPerMigration: { cmt: workOf(ownSpent), flow: workOf(spentBy(flow)) },
  };
  return { v: 1, ...wanted, ...own, bare: { flow, chain }, ...ratios };
}

/** @param run gets a Redis, and a connection to look at it */
async function withFreshRedis<T>(run: (redis: TestRedis, look: RedisConnection) => Promise<T>): Promise<T> {
  const redis = await startTestRedis();
  const look = openConnection(parseRedisUrl(redis.url), 'worker', pino({ level: 'silent' }));
  try {
    return await run(redis, look);
  } finally {
    look.disconnect();
    await redis.stop();
  }
}

const withRedis = (own: Awaited<ReturnType<typeof measureCmt>>) => ({
  ...own.cpuMsPerMigration,
  redis: own.redis.cpuMsPerMigration,
});

const tell = (line: string): void => void process.stderr.write(`scale: ${line}\n`);

const namesOf = (count: number): string[] => Array.from({ length: count }, (_, at) => `h${at}`);
const shares = (names: readonly string[], processes: number): string[][] =>
  Array.from({ length: processes }, (_, at) => names.filter((_name, index) => index % processes === at));

async function measureCmt(wanted: Wanted, redis: TestRedis, look: RedisConnection) {
  const trusted = join(redis.dir, 'trusted');
  await mkdir(trusted, { recursive: true });
  const coordinators = await startCoordinators(wanted.coordinators, redis, trusted);
  const names = namesOf(wanted.hosts);
  const order = { url: redis.url, dir: redis.dir, trusted, containers: wanted.containers };
  const program = await bundled('hosts-program', redis.dir);
  const hosts = await Promise.all(
    shares(names, wanted.processes).map((own) =>
      startProgram(program, { ...order, hosts: own } satisfies HostsOrder),
    ),
  );
  const client = await CmtClient.connect({ redis: redis.url, stateDir: redis.dir });
  const asked: Program[] = [];
  try {
    await until(async () => (await look.zcard(keys.hosts)) === wanted.hosts);
    tell(`${wanted.hosts} hosts announce themselves`);
    const idle = await idleRate(look, { coordinators, hosts });
    const probes = await probe(client, names);
    tell('the first steps were measured');
    const asking = await startProgram(await bundled('asking-program', redis.dir), {
      ...{ url: redis.url, dir: redis.dir, all: names, migrations: wanted.migrations },
    } satisfies AskingOrder);
    asked.push(asking);
    const spent = await cpuSince({ coordinators, hosts, asking: [asking] });
    const load = await carry(client, wanted, asking, look);
    const cpu = perMigration(await spent(), wanted.migrations);
    tell(`${wanted.migrations} migrations have ended`);
    const parts = await Promise.all(
      coordinators.map(async ({ pid, dir }) => ({ ...(await usageOf(pid)), ended: await endedBy(dir) })),
    );
    const answers = { hostsMs: await answerTime('hosts', redis), psMs: await answerTime('ps', redis) };
    const saw = (await Promise.all(hosts.map((program) => program.stop()))).map((line) =>
      HostsSaw.parse(JSON.parse(line)),
    );
    return {
      ...figures({ wanted, idle, load, parts, saw, probes }),
      ...{ cpuMsPerMigration: cpu, idleCpuMsPerSecond: idle.cpuMsPerSecond, answers },
    };
  } finally {
    client.close();
    await Promise.all([...hosts, ...asked].map((program) => program.stop()));
    await Promise.all(coordinators.map((each) => each.stop()));
  }
}

interface Found {
  readonly wanted: Wanted;
  readonly idle: Awaited<ReturnType<typeof idleRate>>;
  readonly load: Awaited<ReturnType<typeof carry>>;
  readonly parts: readonly (Usage & { readonly ended: number })[];
  readonly saw: readonly HostsSaw[];
  readonly probes: ReadonlyMap<string, number>;
}

function figures({ wanted, idle, load, parts, saw, probes }: Found) {
  const { before, after, seconds } = load;
  const count = wanted.migrations;
  const hops = saw.flatMap(({ hopMs }) => hopMs);
  const legs = saw.reduce((sum, each) => sum + each.legs, 0);
  const first = saw.flatMap(({ firstMs }) =>
    Object.entries(firstMs).map(([id, at]) => at - (probes.get(id) ?? at)),
  );
  return {
    seconds: round(seconds),
    migrationsPerSecond: round(count / seconds),
    legsPerMigration: Math.round(legs / (count + PROBES)),
    firstStepMs: { p50: quantile(first, 0.5), p95: quantile(first, 0.95) },
    hopUnderLoadMs: { p50: quantile(hops, 0.5), p95: quantile(hops, 0.95) },
    coordinators: parts.map(({ rssMiB, cpuS, ended }) => ({
      ...{ rssMiB, ended },
      cpuMsPerMigration: round((cpuS * 1000) / Math.max(1, ended)),
    })),
    redis: {
      commandsPerMigration: round(
        (after.commands - before.commands - idle.commandsPerSecond * seconds) / count,
      ),
      bytesPerMigration: Math.round((after.memory - before.memory) / count),
      cpuMsPerMigration: round(((after.cpuS - before.cpuS) * 1000) / count),
      idleCommandsPerSecond: Math.round(idle.commandsPerSecond),
      mostCalled: mostCalled(before, after, count),
    },
  };
}

/** One migration after the other in a fleet that does nothing else. @returns when each was asked for */
async function probe(client: CmtClient, names: readonly string[]): Promise<Map<string, number>> {
  const asked = new Map<string, number>();
  for (let at = 0; at < PROBES; at += 1) {
    const id = `probe-${at}`;
    asked.set(id, Date.now());
    await client.enqueue({ ...wishOf(at, names), id });
    await client.ended(id);
  }
  return asked;
}

async function carry(client: CmtClient, { migrations }: Wanted, asking: Program, look: RedisConnection) {
  const before = await countsOf(look);
  asking.begin();
  await until(async () => (await look.zcard(keys.sagas)) === PROBES + migrations && (await open(look)) === 0);
  const after = await countsOf(look);
  const last = await client.migrations(migrations);
  const wrong = last.find(({ state }) => state !== 'done');
  if (wrong) throw new Error(`${wrong.id} is ${wrong.state}: ${wrong.message ?? ''}`);
  return { before, after, seconds: (after.at - before.at) / 1000 };
}

/** Migrations that wait or are under way. */
async function open(look: RedisConnection): Promise<number> {
  const base = `${PREFIX}:${MIGRATIONS_QUEUE}`;
  const counts = await Promise.all([
    look.scard(keys.open),
    look.llen(`${base}:wait`),
    look.llen(`${base}:active`),
    look.zcard(`${base}:delayed`),
    look.zcard(`${base}:prioritized`),
  ]);
  return counts.reduce((sum, count) => sum + count, 0);
}

async function answerTime(verb: string, redis: TestRedis): Promise<number> {
  const times: number[] = [];
  for (let turn = 0; turn < 3; turn += 1) {
    const began = performance.now();
    const argv = [CLI, verb, '--json', '--redis', redis.url, '--state-dir', redis.dir];
    await runProgram(process.execPath, argv, { timeoutMs: 60_000 });
    times.push(performance.now() - began);
  }
  return Math.round(Math.min(...times));
}

async function startCoordinators(count: number, redis: TestRedis, trusted: string) {
  const client = await loadKeyPair(redis.dir);
  await copyFile(join(redis.dir, 'keys/cmt.pub'), join(trusted, `${client.id}.pub`));
  const dirs = Array.from({ length: count }, (_, at) => join(redis.dir, `coordinator${at}`));
  for (const [at, dir] of dirs.entries()) {
    await loadKeyPair(dir);
    await copyFile(join(dir, 'keys/cmt.pub'), join(trusted, `coordinator${at}.pub`));
    const config = { redis: redis.url, stateDir: dir, trustedKeysDir: trusted, logLevel: 'error' };
    await writeFile(`${dir}.json`, JSON.stringify(config), { mode: 0o600 });
  }
  return dirs.map((dir) => {
    const argv = [...COORDINATOR_NODE_FLAGS, ...profiled(), CLI, 'coordinator', '--config', `${dir}.json`];
    const child = start(process.execPath, argv, { stdio: ['ignore', 'ignore', 'inherit'] });
    const ended = child.then(
      () => undefined,
      () => undefined,
    );
    const stop = async () => {
      child.kill('SIGTERM');
      await ended;
    };
    return { pid: child.pid ?? 0, dir, stop };
  });
}

/** Migrations, probes included, that a coordinator has brought to their end: its own disk tells. */
async function endedBy(stateDir: string): Promise<number> {
  const dir = join(stateDir, 'ledger');
  const logs = (await readdir(dir)).map((name) => readFile(join(dir, name), 'utf8'));
  return new Set((await Promise.all(logs)).flatMap((log) => log.match(/^\S+(?= )/gm) ?? [])).size;
}

/** As many migrations as cmt has carried, in as many processes. */
async function measureBare(
  shape: BareOrder['shape'],
  { hosts, migrations, processes, coordinators }: Wanted,
  redis: TestRedis,
  look: RedisConnection,
) {
  const all = namesOf(hosts);
  const common = { url: redis.url, shape, all, hosts: [], first: 0, migrations: 0, parents: null };
  const each = Math.ceil(migrations / coordinators);
  const asking: BareOrder[] = Array.from({ length: coordinators }, (_, at) => ({
    ...{ ...common, first: at * each, migrations: Math.min(each, migrations - at * each) },
    parents: shape === 'flow' ? { atOnce: MIGRATIONS_AT_ONCE } : null,
  }));
  const working: BareOrder[] = shares(all, processes).map((own) => ({ ...common, hosts: own }));
  const program = await bundled('bare-program', redis.dir);
  const programs: Program[] = await Promise.all(
    [...asking, ...working].map((order) => startProgram(program, order)),
  );
  try {
    const idle = await idleRate(look, { programs });
    const before = await countsOf(look);
    const spent = await cpuSince({ programs });
    for (const program of programs) program.begin();
    await until(async () => Number(await look.get('{bare}:ended')) >= migrations);
    const after = await countsOf(look);
    tell(`BullMQ alone has ended, as a ${shape}`);
    const seconds = (after.at - before.at) / 1000;
    return {
      migrationsPerSecond: round(migrations / seconds),
      jobsPerMigration: JOBS_OF_A_MIGRATION,
      redisCommandsPerMigration: round((after.commands - before.commands) / migrations),
      cpuMsPerMigration: {
        ...perMigration(await spent(), migrations),
        redis: round(((after.cpuS - before.cpuS) * 1000) / migrations, 2),
      },
      idleCpuMsPerSecond: idle.cpuMsPerSecond,
    };
  } finally {
    await Promise.all(programs.map((program) => program.stop()));
  }
}
