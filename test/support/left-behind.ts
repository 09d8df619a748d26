/** What a migration has left on the hosts, and on the machine below them, once it has had time to go away. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { run } from '@cmt/host';
import type { Lab } from '@cmt/lab';
import { patient } from './patience.ts';
import { differences, holdingsOf, isUsual, together, type Difference, type Holdings } from './leftovers.ts';

/** Both hosts as they were. */
export type Before = ReadonlyMap<string, Holdings>;

/**
 * How long what a migration made may take to go away once it has ended. Milliseconds. The sshd of a connection that was cut hears
 * of its end with TCP's next try, which may be as far away again as the cut was long.
 */
const SETTLE_MS = patient(30_000);
/** Between two looks: each costs a tenth of a second of a core, which what is waited for may need. */
const REST_MS = 100;

/** Both hosts at rest: what a worker only does from time to time, and what it has in hand for it, must not count as theirs. */
export async function lookAtHosts(lab: Lab): Promise<Before> {
  const deadline = Date.now() + SETTLE_MS;
  let before = await glance(lab);
  for (;;) {
    await pause(REST_MS);
    const now = await glance(lab);
    if (isDeepStrictEqual(now, before) || Date.now() > deadline) return now;
    before = now;
  }
}

async function glance(lab: Lab): Promise<Before> {
  const looks = await Promise.all(
    lab.hosts.map(async ({ name }) => [name, await holdingsOf(lab, name)] as const),
  );
  return new Map(looks);
}

/** What is not as it was on each host: for migrations that left the container where it was. */
export const leftOnHosts = (lab: Lab, before: Before): Promise<Difference[]> =>
  settled(async () => {
    const now = await glance(lab);
    return [...now].flatMap(([host, holdings]) =>
      differences(host, before.get(host) ?? new Map(), holdings, isUsual),
    );
  });

/** What has come or gone on all hosts together: what the container has on its host may have moved. */
export const leftAfterMoves = (lab: Lab, before: Before): Promise<Difference[]> =>
  settled(async () => differences('all hosts', all(before), all(await glance(lab)), isUsual));

const all = (hosts: Before): Holdings => together([...hosts.values()]);

/** Looks until nothing is left, or it has had its time. */
export async function settled<T>(look: () => Promise<T[]>): Promise<T[]> {
  const deadline = Date.now() + SETTLE_MS;
  let left = await look();
  while (left.length > 0 && Date.now() < deadline) {
    await pause(REST_MS);
    left = await look();
  }
  return left;
}

/** Processes of the machine that belong to a fleet: in the network between its hosts, or with its state directory in their argv. */
export async function processesBelow(lab: Lab, stateDir: string): Promise<string[]> {
  const { stdout } = await run('ps', ['-eo', 'pid=,args='], { timeoutMs: 10_000 });
  const inFabric = await readFile(join(lab.cgroup, 'fabric/cgroup.procs'), 'utf8').catch(() => '');
  const pids = new Set(inFabric.split('\n').filter(Boolean));
  return stdout
    .split('\n')
    .map((line) => /^\s*(\d+) (.*)$/.exec(line)?.slice(1) ?? [])
    .filter(([pid = '', args = '']) => pids.has(pid) || args.includes(stateDir))
    .map(([, args = '']) => args)
    .sort();
}
