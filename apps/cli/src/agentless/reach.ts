/** The ends of a request that are worked on over ssh: which they are, and that their workers are there. */
import { setTimeout as pause } from 'node:timers/promises';
import { resolve } from 'node:path';
import { CmtError, type HostName } from '@cmt/contracts';
import type { SeenHost } from '@cmt/queue';
import { invalid } from '../flags/invalid.ts';
import type { Location } from '../flags/location.ts';
import type { AgentlessNames, LocatedRequest } from '../request.ts';
import { agentlessEnd, type AgentlessEnd } from './end.ts';
import { ensureSessions, isKept } from './sessions.ts';

/** Milliseconds until a worker that was just started has looked at its machine and announced it. */
const ANNOUNCED_MS = 60_000;

/** Sees to it that both ends have workers. @returns the names of those that are reached over ssh */
export async function reachEnds(
  stateDir: string,
  { asked, source, target }: LocatedRequest,
  hosts: () => Promise<SeenHost[]>,
): Promise<AgentlessNames> {
  const { sshConfig, transport } = asked.flags;
  const config = sshConfig === undefined ? undefined : resolve(sshConfig);
  const known = await hosts();
  const endOf = async (location: Location, bundle: string | undefined): Promise<AgentlessEnd | null> => {
    const end = agentlessEnd(location, config);
    if (end === null || (await isOfTheFleet(stateDir, location, known))) return null;
    return { ...end, bundle };
  };
  // The target's bundle is what the migration makes.
  const [from, to] = [await endOf(source, source.bundle), await endOf(target, undefined)];
  const ends = [from, to].filter((end) => end !== null);
  if (ends.length === 0) return {};
  if (transport === 'tcp')
    throw invalid('--transport', 'tcp is for the workers of a fleet; over ssh it is ssh');
  const names = await ensureSessions(stateDir, ends);
  await allOnline(names, hosts);
  const [first, second] = names;
  return from === null ? { target: first } : { source: first, ...(to === null ? {} : { target: second }) };
}

/** Registered, and not by a worker that this machine has started over ssh. */
async function isOfTheFleet(
  stateDir: string,
  { host }: Location,
  known: readonly SeenHost[],
): Promise<boolean> {
  const seen =
    known.find(({ name }) => name === host) ?? known.find(({ record }) => record.endpoint.address === host);
  return seen !== undefined && !(await isKept(stateDir, seen.name)) && seen.state !== 'offline';
}

async function allOnline(names: readonly HostName[], hosts: () => Promise<SeenHost[]>): Promise<void> {
  const deadline = performance.now() + ANNOUNCED_MS;
  for (;;) {
    const online = (await hosts()).filter(({ state }) => state === 'online').map(({ name }) => name);
    const first = names.find((name) => !online.includes(name));
    if (first === undefined) return;
    if (performance.now() > deadline) throw new CmtError('HOST_UNREACHABLE', { host: first });
    // Announcements are keys, not messages: there is nothing to await.
    await pause(100);
  }
}
