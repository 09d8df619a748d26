/** The vocabulary of live tests: a lab with the real processes in it, migrations by the real `cmt`, and crashes. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isEnd, keys, type MigrationEvent, type MigrationReport } from '@cmt/contracts';
import { isAlive, labDown, labLs, labUp, listDaemons, signalDaemon, type Lab } from '@cmt/lab';
import { tryRun } from '@cmt/host';
import { connectProducer, follow, parseRedisUrl, readSaga, type RedisConnection } from '@cmt/queue';
import { pino } from 'pino';
import { cliFile, cmtOf, type Answer, type Cmt } from '../../apps/lab/src/demo/cmt.ts';
import { patient } from './patience.ts';

export interface Fleet {
  readonly lab: Lab;
  readonly cmt: Cmt;
  readonly stateDir: string;
  readonly redis: RedisConnection;
  /** Everything is gone afterwards. */
  stop(): Promise<void>;
}

export interface Move {
  readonly id: string;
  readonly container: string;
  readonly from: string;
  readonly to: string;
  /** Further flags of `cmt migrate`. */
  readonly flags?: readonly string[];
}

const UP_MS = 15 * 60_000;
const MIGRATE_MS = patient(120_000);
let made = 0;

/** A migration's id that no other has. */
export const newId = (): string => `t${process.pid}-${(made += 1)}`;

const DIST = join(import.meta.dirname, '../../dist');

/**
 * Lab hosts with a worker each, a coordinator, and Redis: made by `cmt lab up`.
 * @param share directories of this machine that all hosts see, under the same path and read-only
 */
export async function startFleet(what: string, hosts = 2, share: readonly string[] = []): Promise<Fleet> {
  const name = `t${what}${process.pid}`;
  const stateDir = await mkdtemp(join(tmpdir(), 'cmt-live-'));
  const cmt = cmtOf(stateDir);
  let redis: RedisConnection | undefined;
  const stop = async (): Promise<void> => {
    redis?.disconnect();
    await cmt(['lab', 'down', '--name', name], 60_000).catch(() => undefined);
    await labDown({ name });
    await rm(stateDir, { recursive: true, force: true });
  };
  try {
    if (share.length > 0) await labUp({ name, hosts, share: [DIST, ...share] });
    const up = await cmt(['lab', 'up', '--name', name, '--hosts', String(hosts)], UP_MS);
    const lab = (await labLs()).find((other) => other.name === name);
    if (!up.ok || !lab) throw new Error(`no lab: ${up.error?.message ?? ''}`);
    redis = await connectProducer(await redisOf(stateDir), pino({ level: 'silent' }));
    return { lab, cmt, stateDir, redis, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function redisOf(stateDir: string): Promise<ReturnType<typeof parseRedisUrl>> {
  const { tcp } = JSON.parse(await readFile(join(stateDir, 'embedded.json'), 'utf8')) as {
    tcp: { password: string } | null;
  };
  return parseRedisUrl(`unix://:${tcp?.password ?? ''}@localhost${join(stateDir, 'redis/redis.sock')}`);
}

const migrateArgs = ({ id, container, from, to, flags = [] }: Move): string[] => [
  ...['migrate', container, '--id', id, '--src', from, '--dst', to],
  ...flags,
];

/** Runs `cmt migrate` to its end. */
export async function migrate(
  fleet: Fleet,
  move: Move,
): Promise<Answer & { readonly migration: MigrationReport }> {
  const answer = await fleet.cmt(migrateArgs(move), MIGRATE_MS);
  if (!answer.migration) throw new Error(`cmt migrate: ${answer.error?.message ?? 'no answer'}`);
  return { ...answer, migration: answer.migration };
}

/** Asks for a migration, does `act` at the first event that `when` picks, and returns the report at its end. */
export async function migrateAnd(
  fleet: Fleet,
  move: Move,
  when: (event: MigrationEvent) => boolean,
  act: (event: MigrationEvent) => Promise<void>,
): Promise<MigrationReport> {
  const limit = AbortSignal.timeout(MIGRATE_MS);
  const asked = await fleet.cmt([...migrateArgs(move), '--detach'], patient(20_000));
  if (!asked.ok) throw new Error(`cmt migrate --detach: ${asked.error?.message ?? ''}`);
  let acted = false;
  for await (const event of follow(fleet.redis, move.id, true, limit)) {
    if (acted || !when(event)) continue;
    acted = true;
    await act(event);
  }
  if (!acted) throw new Error(`migration ${move.id} ended, and the moment never came`);
  return reportOf(fleet, move.id);
}

/** What a verb prints with `--json`, and its exit code. */
export async function answerOf<T>(fleet: Fleet, args: readonly string[]): Promise<T> {
  const argv = [cliFile(), ...args, '--json', '--state-dir', fleet.stateDir];
  const { stdout, stderr, code } = await tryRun(process.execPath, argv, { timeoutMs: MIGRATE_MS });
  if (stdout === '') throw new Error(`cmt ${args.join(' ')} said nothing: ${stderr}`);
  return { ...(JSON.parse(stdout) as object), code } as T;
}

/** Picks the event at which a row of the plan begins. */
export const atStartOf =
  (row: string) =>
  ({ kind, step }: MigrationEvent): boolean =>
    kind === 'step-started' && step === row;

export async function reportOf(fleet: Fleet, id: string): Promise<MigrationReport> {
  const saga = await readSaga(fleet.redis, id);
  if (saga === null) throw new Error(`there is no migration ${id}`);
  if (!isEnd(saga.report.state)) throw new Error(`migration ${id} has not ended: it is ${saga.report.state}`);
  return saga.report;
}

/** SIGKILL to the coordinator, or to the worker of a host; whoever looks after them starts them again at once. */
export async function crash(fleet: Fleet, who: 'coordinator' | { readonly worker: string }): Promise<void> {
  if (who === 'coordinator') await killCoordinator(fleet);
  else await killWorker(fleet.lab, who.worker);
  await startMissing(fleet);
}

/** As systemd would: `lab up` starts what is not there and leaves alone what is. */
async function startMissing(fleet: Fleet): Promise<void> {
  const up = await fleet.cmt(['lab', 'up', '--name', fleet.lab.name], 60_000);
  if (!up.ok) throw new Error(`no restart after a crash: ${up.error?.message ?? ''}`);
}

/** SIGKILL to the coordinator; the next one finds what Redis holds of a migration torn. */
export async function tearSaga(fleet: Fleet, id: string): Promise<void> {
  await killCoordinator(fleet);
  await fleet.redis.hset(keys.saga(id), { state: '{"v":1,"stage":"pre', report: '{"v":1,' });
  await startMissing(fleet);
}

/**
 * Empties Redis: by a command, or as a lost disk does it, killed and started again with nothing. Whoever looks after it
 * starts it at once.
 */
export async function emptyRedis(fleet: Fleet, how: 'FLUSHALL' | 'its data removed'): Promise<void> {
  if (how === 'FLUSHALL') {
    await fleet.redis.flushall();
    return;
  }
  const dir = join(fleet.stateDir, 'redis');
  process.kill(Number((await readFile(join(dir, 'redis.pid'), 'utf8')).split(' ')[0]), 'SIGKILL');
  await rm(join(dir, 'appendonlydir'), { recursive: true });
  const up = await fleet.cmt(['lab', 'up', '--name', fleet.lab.name], 60_000);
  if (!up.ok) throw new Error(`Redis does not start again: ${up.error?.message ?? ''}`);
}

async function killCoordinator({ stateDir }: Fleet): Promise<void> {
  const stat = await readFile(join(stateDir, 'coordinator.pid'), 'utf8');
  process.kill(Number(stat.split(' ')[0]), 'SIGKILL');
}

/** SIGKILL to the worker of a host; nobody starts it again. */
export async function killWorker(lab: Lab, host: string): Promise<void> {
  const worker = (await listDaemons(lab, host)).find(
    ({ name, process }) => name === 'worker' && isAlive(process),
  );
  if (!worker) throw new Error(`no worker runs on ${host}`);
  signalDaemon(worker, 'SIGKILL');
}
