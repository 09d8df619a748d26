/**
 * Sessions as commands ask for them: made where there is none, found where there is one, and made again after this machine was away.
 *
 * INVARIANT: a host that cannot be worked on is refused before anything is put there.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CmtError, type HostName } from '@cmt/contracts';
import { findDaemon, requirePrograms, startDaemon, stopDaemon, surveyHost } from '@cmt/host';
import { bundleDir } from '../apps.ts';
import type { AgentlessEnd } from './end.ts';
import {
  allPlaces,
  forget,
  keeperOf,
  placeOf,
  readSpec,
  readStatus,
  writeSpec,
  type SessionStatus,
} from './place.ts';

/** Milliseconds for a session to be up, Node and cmt carried there over a slow line included. */
const UP_MS = 15 * 60_000;
const LOOK_MS = 50;
const STOP_MS = 2_000;
const NEEDED = ['criu', 'runc', 'rsync', 'ip'];

/**
 * Sees to it that every one of these hosts has a worker that speaks with this machine's Redis.
 * @returns the names under which they are registered: a machine that is known under another one keeps that
 * @throws {CmtError} SSH_*, SUDO_REFUSED, REMOTE_*, BUNDLE_INVALID, SAME_HOST
 */
export async function ensureSessions(stateDir: string, ends: readonly AgentlessEnd[]): Promise<HostName[]> {
  const machines = await Promise.all(ends.map((end) => look(stateDir, end)));
  const [first, second] = machines;
  if (first !== undefined && first === second) throw new CmtError('SAME_HOST', { host: ends[0]?.name ?? '' });
  const known = await namesByMachine(stateDir);
  const named = ends.map((end, n) => ({ ...end, name: known.get(machines[n] ?? '') ?? end.name }));
  await Promise.all(named.map((end) => ensureSession(stateDir, end)));
  return named.map(({ name }) => name);
}

async function namesByMachine(stateDir: string): Promise<Map<string, HostName>> {
  const names = new Map<string, HostName>();
  for (const place of await allPlaces(stateDir)) {
    const [spec, status] = [await readSpec(place), await readStatus(place)];
    if (spec !== null && status?.machine != null) names.set(status.machine, spec.name);
  }
  return names;
}

/** Whether a host is one of those that this machine works on over ssh. */
export const isKept = async (stateDir: string, name: string): Promise<boolean> =>
  (await readSpec(placeOf(stateDir, name))) !== null;

/** Makes sessions again that this machine once had and has lost; waits for none of them. */
export async function reviveSessions(stateDir: string): Promise<void> {
  for (const place of await allPlaces(stateDir)) {
    if ((await readSpec(place)) === null || (await isUp(place))) continue;
    if ((await readStatus(place))?.state === 'failed' || !(await findDaemon(keeperOf(place))))
      await startKeeper(stateDir, place);
  }
}

/** The first look. @returns what tells the machine from others */
async function look(stateDir: string, { name, ssh, bundle }: AgentlessEnd): Promise<string> {
  const place = placeOf(stateDir, name);
  const status = (await isUp(place)) ? await readStatus(place) : null;
  if (status?.machine != null && bundle === undefined) return status.machine;
  const survey = await surveyHost(ssh, { bundle });
  requirePrograms(ssh, survey, NEEDED);
  return survey.machine;
}

async function ensureSession(stateDir: string, { name, ssh }: AgentlessEnd): Promise<void> {
  const place = placeOf(stateDir, name);
  const before = await readSpec(place);
  if (before !== null && (await isUp(place))) return;
  await writeSpec(place, { v: 1, name, ssh });
  const keeper = await startKeeper(stateDir, place);
  const status = await untilSettled(place, keeper);
  if (status?.state === 'up') return;
  if (before === null) await forget(place);
  const { failure } = status ?? { failure: null };
  if (failure !== null) throw new CmtError(failure.code, failure.details, failure.log);
  throw new CmtError('SSH_UNREACHABLE', {
    host: ssh.destination,
    reason: `see ${join(place, 'keeper.log')}`,
  });
}

const isUp = async (place: string): Promise<boolean> =>
  (await readStatus(place))?.state === 'up' && (await findDaemon(keeperOf(place))) !== undefined;

/** One that is there and has no session may have another agent than we have. @returns the name of this start */
async function startKeeper(stateDir: string, place: string): Promise<string> {
  await stopDaemon(keeperOf(place), STOP_MS);
  const keeper = randomBytes(6).toString('hex');
  const program = join(bundleDir(), 'ssh-session.js');
  await startDaemon({ ...keeperOf(place), argv: [process.execPath, program, stateDir, place, keeper] });
  return keeper;
}

async function untilSettled(place: string, keeper: string): Promise<SessionStatus | null> {
  const deadline = performance.now() + UP_MS;
  while (performance.now() < deadline) {
    const alive = (await findDaemon(keeperOf(place))) !== undefined;
    const status = await readStatus(place);
    const isOurs = status?.keeper === keeper;
    if (isOurs && status.state !== 'connecting') return status;
    if (!alive) return isOurs ? status : null;
    // A file tells nobody of its change without a watch, and that is not worth it here.
    await pause(LOOK_MS);
  }
  return null;
}
