/**
 * Before a migration begins: the target that its request left open, and its places within the limits.
 *
 * INVARIANTS
 * - Hosts and limits are read anew for every migration: what an operator sets counts for the next one, without a restart.
 * - A target is found first and its place is taken then; one that was filled meanwhile means waiting, never more than the limit.
 */
import { CmtError, messageOf, type HostName, type MigrationRequest } from '@cmt/contracts';
import { candidatesOf, chooseTarget, needsOf, parseLimits, placesOf } from '@cmt/fleet';
import {
  drainedHosts,
  isDrained,
  storedLimits,
  trafficOf,
  type Lease,
  type RedisConnection,
  type SeenHost,
} from '@cmt/queue';
import type { Placement, Saga } from '@cmt/saga';
import { MustWait } from './must-wait.ts';

/** The host that takes the container best of those that were not tried before. @throws {CmtError} NO_TARGET, HOST_UNKNOWN */
export async function findTarget(
  redis: RedisConnection,
  saga: Saga,
  seen: readonly SeenHost[],
): Promise<Placement> {
  const { request, passedOver, inspection } = saga;
  const source = hostOf(seen, request.source);
  const container = inspection?.container ?? containerOf(request, source);
  const wish = { runtime: request.runtime, place: request.place ?? { labels: {}, avoid: [] } };
  const needs = needsOf(source.record, container, { ...wish, force: request.options.force });
  const tried = new Set(passedOver.map(({ host }) => host));
  const candidates = (await readCandidates(redis, seen)).filter(({ name }) => !tried.has(name));
  const choice = chooseTarget({ ...needs, memory: inspection?.memory ?? needs.memory }, candidates);
  if (choice.host !== null) return choice;
  const before = passedOver.map(({ host, failure }) => `${host}: ${messageOf(failure).replace(/\.$/, '')}`);
  const reasons = [...before, ...(candidates.length > 1 || before.length === 0 ? [choice.reasons] : [])];
  throw new CmtError('NO_TARGET', { container, host: request.source, reasons: reasons.join('; ') });
}

async function readCandidates(redis: RedisConnection, hosts: readonly SeenHost[]) {
  const names = hosts.map(({ name }) => name);
  const [drained, stored, traffic] = await Promise.all([
    drainedHosts(redis),
    storedLimits(redis),
    trafficOf(redis, names),
  ]);
  return candidatesOf({ hosts, drained, traffic, limits: parseLimits(stored) });
}

const containerOf = ({ container, sourceBundle }: MigrationRequest, { record }: SeenHost): string =>
  container ?? record.containers.find(({ bundle }) => bundle === sourceBundle)?.id ?? sourceBundle ?? '';

/** @throws {CmtError} HOST_DRAINED */
export async function refuseDrained(redis: RedisConnection, target: HostName): Promise<void> {
  if (await isDrained(redis, target)) throw new CmtError('HOST_DRAINED', { host: target });
}

/** Milliseconds between looks of one that waits and was not called: more for those further back, so that a long line costs little. */
const LOOK_MS = 5_000;
const PER_RANK_MS = 50;
const LONGEST_LOOK_MS = 120_000;

/** Takes the migration's places. @throws {MustWait} when a limit is reached; {CmtError} CONTAINER_BUSY */
export async function takePlaces(
  redis: RedisConnection,
  lease: Lease,
  { request, inspection }: Saga,
  source: SeenHost,
): Promise<void> {
  const places = placesOf(parseLimits(await storedLimits(redis)), request.source, request.target);
  const container = inspection?.container ?? request.container ?? null;
  const announced = source.record.containers.find(({ id }) => id === container)?.memory ?? 0;
  const { priority = 'normal', requestedAt } = request;
  const answer = await lease.takePlaces({
    ...{ source: request.source, container, priority, requestedAt, places },
    memory: inspection?.memory ?? announced,
  });
  if (answer.kind === 'busy')
    throw new CmtError('CONTAINER_BUSY', {
      ...{ container: container ?? '', host: request.source, other: answer.with },
    });
  if (answer.kind === 'taken') return;
  const words = places.find(({ key }) => key === answer.lacks)?.words ?? answer.lacks;
  const ms = Math.min(LONGEST_LOOK_MS, LOOK_MS + answer.ahead * PER_RANK_MS);
  throw new MustWait(`${words}, and as many do`, ms);
}

/** The announced host. @throws {CmtError} HOST_UNKNOWN */
export function hostOf(seen: readonly SeenHost[], name: HostName): SeenHost {
  const found = seen.find((host) => host.name === name);
  if (found) return found;
  const known = seen.map((host) => host.name).join(', ') || 'none';
  throw new CmtError('HOST_UNKNOWN', { host: name, known });
}
