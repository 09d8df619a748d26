/** What can be said about hosts from what they have announced, without asking them. Pure. */
import { fine, messageOf, remedyOf, type Diagnosis, type Failure, type HostName } from '@cmt/contracts';
import type { SeenHost } from '@cmt/queue';

/** Milliseconds: two clocks that agree so well need no word; what a job's signature bears with ease. */
const CLOCK_WELL_MS = 2_000;
const CLOCK_BAD_MS = 60_000;

/** What a fleet's look needs of a host. */
export type Announced = Pick<SeenHost, 'name' | 'state' | 'ageMs' | 'clockOffsetMs' | 'record'>;

export function hostDiagnoses({ name, state, ageMs, clockOffsetMs }: Announced): Diagnosis[] {
  if (state === 'online')
    return [fine('worker', name, 'its worker announces itself'), clockDiagnosis(name, clockOffsetMs ?? 0)];
  const ago = `${Math.round(ageMs / 1000)} s`;
  const message =
    state === 'offline' ? 'its worker is offline' : `nothing was heard of its worker for ${ago}`;
  const remedy = `Look at \`systemctl status cmt-worker\` on ${name}; \`cmt hosts rm\` forgets a host that is gone for good.`;
  return [{ level: 'problem', area: 'worker', about: name, message, remedy }];
}

/** One whose announcement is damaged, or in another format. */
export function unreadableHost(host: HostName, problem: string): Diagnosis {
  const failure: Failure = { code: 'HOST_UNREADABLE', details: { host, problem } };
  const said = { message: messageOf(failure), remedy: remedyOf(failure) };
  return { level: 'problem', area: 'worker', about: host, ...said };
}

/** @param offsetMs that the clock is ahead of that of Redis */
export function clockDiagnosis(about: string, offsetMs: number): Diagnosis {
  const off = Math.abs(offsetMs);
  const shown = `${(off / 1000).toFixed(1)} s ${offsetMs > 0 ? 'ahead of' : 'behind'} that of Redis`;
  if (off < CLOCK_WELL_MS) return fine('clock', about, 'its clock agrees with that of Redis');
  const remedy = `Set the clock of ${about} (chrony, systemd-timesyncd).`;
  const level = off < CLOCK_BAD_MS ? 'warning' : 'problem';
  return { level, area: 'clock', about, message: `its clock is ${shown}`, remedy };
}

/** Hosts that run another cmt, or another CRIU, than most. */
export function versionDiagnoses(seen: readonly Announced[]): Diagnosis[] {
  const online = seen.filter(({ state }) => state === 'online');
  return [
    ...oddOnes(online, 'cmt', ({ record }) => record.cmtVersion),
    ...oddOnes(online, 'CRIU', ({ record }) => record.facts.criu ?? 'none'),
  ];
}

function oddOnes(
  seen: readonly Announced[],
  what: string,
  versionOf: (host: Announced) => string,
): Diagnosis[] {
  const usual = mostFrequent(seen.map(versionOf));
  return seen
    .filter((host) => versionOf(host) !== usual)
    .map((host) => ({
      ...{ level: 'warning', area: 'version', about: host.name },
      message: `runs ${what} ${versionOf(host)}, most run ${usual ?? ''}`,
      remedy:
        'Bring all hosts to one version: containers move safely only between CRIUs that understand each other.',
    }));
}

function mostFrequent(values: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([a, m], [b, n]) => n - m || a.localeCompare(b))[0]?.[0];
}
