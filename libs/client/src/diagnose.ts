/** A fleet looked at from all sides: Redis, coordinator, what hosts announce, and what they say when asked. */
import { CmtError, DOCTOR_HOSTS, fine, messageOf, remedyOf, type Diagnosis } from '@cmt/contracts';
import {
  askDoctor,
  clockOffset,
  coordinatorAlive,
  diagnoseRedis,
  hosts,
  type KeyPair,
  type RedisConnection,
  type SeenHost,
} from '@cmt/queue';
import { clockDiagnosis, hostDiagnoses, unreadableHost, versionDiagnoses } from './announced.ts';

/** Longer than a coordinator waits for its workers. Milliseconds. */
const ASK_MS = 70_000;

/** @param host the only one that is looked at, or all. @throws {CmtError} HOST_UNKNOWN, REDIS_UNREACHABLE */
export async function diagnose(redis: RedisConnection, keys: KeyPair, host?: string): Promise<Diagnosis[]> {
  const unreadable: Diagnosis[] = [];
  const all = await hosts(redis, (name, problem) => {
    if (host === undefined || name === host) unreadable.push(unreadableHost(name, problem));
  });
  const seen = host === undefined ? all : all.filter(({ name }) => name === host);
  if (host !== undefined && seen.length === 0 && unreadable.length === 0)
    throw new CmtError('HOST_UNKNOWN', { host, known: all.map(({ name }) => name).join(', ') || 'none' });
  const [ofRedis, offset, isAlive] = await Promise.all([
    diagnoseRedis(redis, shownAddress(redis)),
    clockOffset(redis),
    coordinatorAlive(redis),
  ]);
  const announced = [...seen.flatMap(hostDiagnoses), ...versionDiagnoses(seen)];
  const asked = isAlive && ofRedis.mayAsk ? await askAll(redis, keys, seen) : [];
  return [
    ...ofRedis.diagnoses,
    clockDiagnosis('this machine', offset),
    ofCoordinator(isAlive),
    ...unreadable,
    ...announced,
    ...asked,
  ];
}

function ofCoordinator(isAlive: boolean): Diagnosis {
  if (isAlive) return fine('coordinator', 'coordinator', 'a coordinator takes migrations');
  const { failure } = new CmtError('COORDINATOR_MISSING');
  return { ...said(failure), level: 'problem' };
}

async function askAll(
  redis: RedisConnection,
  keys: KeyPair,
  seen: readonly SeenHost[],
): Promise<Diagnosis[]> {
  const online = seen.filter(({ state }) => state === 'online').map(({ name }) => name);
  if (online.length === 0) return [];
  const names = online.slice(0, DOCTOR_HOSTS);
  const left: Diagnosis[] = online.slice(DOCTOR_HOSTS).map((about) => ({
    ...{ level: 'note', area: 'worker', about, message: 'was not asked: there are too many to ask at once' },
    remedy: `\`cmt doctor ${about}\`.`,
  }));
  const answer = await askDoctor(redis, names, keys, AbortSignal.timeout(ASK_MS)).catch((error: unknown) => {
    if (error instanceof CmtError && error.failure.code === 'COORDINATOR_MISSING') return error.failure;
    throw error;
  });
  return Array.isArray(answer) ? [...answer, ...left] : [said(answer)];
}

const said = (failure: CmtError['failure']): Diagnosis => ({
  ...{ level: 'problem', area: 'coordinator', about: 'coordinator' },
  ...{ message: messageOf(failure), remedy: remedyOf(failure) },
});

function shownAddress({ options: { path, host, port } }: RedisConnection): string {
  return path === undefined ? `${host ?? ''}:${port ?? ''}` : path;
}
