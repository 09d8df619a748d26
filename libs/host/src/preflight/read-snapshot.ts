/** Reads a Snapshot: the one place of the scan that touches the machine. It changes nothing there. */
import { readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostName } from '@cmt/contracts';
import { allPids } from './container-processes.ts';
import { inodeIn, parseMountinfo, parseStatus } from './proc-text.ts';
import { readNamespaces, readProcess, readTargets } from './read-process.ts';
import { readProtocols, readSocketInodes, readTcp, readUnixSockets } from './read-sockets.ts';
import type { Circumstances, Mount, ProcessName, ScannedProcess, Snapshot } from './snapshot.ts';

export interface SnapshotSource {
  readonly host: HostName;
  readonly init: number;
  readonly pids: readonly number[];
  readonly circumstances: Circumstances;
  /** Where proc(5) is mounted. */
  readonly proc: string;
}

/** Processes read at the same time. */
const AT_ONCE = 32;

export async function readSnapshot(source: SnapshotSource, signal: AbortSignal): Promise<Snapshot> {
  const { host, init, pids, proc, circumstances } = source;
  const initDir = join(proc, `${init}`);
  const processes = (await inTurns(pids, (pid) => readProcess(pid, proc), signal)).filter(
    (found) => found !== null,
  );
  const hostNamespaces = await readNamespaces(join(proc, 'self'));
  const netns = await readlink(join(initDir, 'ns/net')).catch(() => '');
  const ownNetns = netns !== hostNamespaces.net;
  const [mounts, outside, unixSockets, tcpSockets, hostSockets, protocols] = await Promise.all([
    readMounts(processes, proc),
    readOutside(source, ownNetns ? netns : null, pipesOf(processes), signal),
    readUnixSockets(join(initDir, 'ns/net'), signal),
    readTcp(initDir),
    ownNetns ? readSocketInodes(join(proc, 'self')) : new Set<number>(),
    readProtocols(processes, proc, signal),
  ]);
  return {
    ...{ host, init, processes, mounts, ...outside },
    ...{ unixSockets, tcpSockets, hostSockets, protocols, hostNamespaces, circumstances },
  };
}

/** The mounts of every mount namespace in the container. */
async function readMounts(processes: readonly ScannedProcess[], proc: string): Promise<Mount[]> {
  const representatives = new Map(processes.map(({ namespaces, pid }) => [namespaces.mnt, pid]));
  const tables = await Promise.all(
    [...representatives.values()].map((pid) =>
      readFile(join(proc, `${pid}/mountinfo`), 'utf8').catch(() => ''),
    ),
  );
  return tables.flatMap(parseMountinfo);
}

type Outside = Pick<Snapshot, 'pipesOutside' | 'netnsSharers'>;

/** What processes outside share with the container: these pipes, that network namespace. */
async function readOutside(
  { pids, proc }: SnapshotSource,
  netns: string | null,
  pipes: ReadonlySet<number>,
  signal: AbortSignal,
): Promise<Outside> {
  const inside = new Set(pids);
  const outside = (await allPids(proc)).filter((pid) => !inside.has(pid));
  const pipesOutside = new Map<number, ProcessName>();
  const netnsSharers: ProcessName[] = [];
  await inTurns(
    outside,
    async (pid) => {
      const directory = join(proc, `${pid}`);
      const shared = pipes.size === 0 ? [] : await sharedPipes(directory, pipes);
      const sharesNetns =
        netns !== null && (await readlink(join(directory, 'ns/net')).catch(() => '')) === netns;
      if (shared.length === 0 && !sharesNetns) return;
      const status = await readFile(join(directory, 'status'), 'utf8').catch(() => '');
      const { comm, parent } = parseStatus(status);
      // What this scan itself started there is gone in a moment, or by now: then nobody says any more whose it was.
      if (status === '' || parent === process.pid) return;
      for (const inode of shared) pipesOutside.set(inode, { pid, comm });
      if (sharesNetns) netnsSharers.push({ pid, comm });
    },
    signal,
  );
  return { pipesOutside, netnsSharers };
}

const sharedPipes = async (directory: string, pipes: ReadonlySet<number>): Promise<number[]> =>
  (await readTargets(directory))
    .map(({ target }) => inodeIn(target, 'pipe'))
    .filter((inode) => inode !== null)
    .filter((inode) => pipes.has(inode));

const pipesOf = (processes: readonly ScannedProcess[]): Set<number> =>
  new Set(
    processes
      .flatMap(({ files }) => files.map(({ target }) => inodeIn(target, 'pipe')))
      .filter((inode) => inode !== null),
  );

async function inTurns<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
  signal: AbortSignal,
): Promise<R[]> {
  const results: R[] = [];
  for (let from = 0; from < items.length; from += AT_ONCE) {
    signal.throwIfAborted();
    results.push(...(await Promise.all(items.slice(from, from + AT_ONCE).map(work))));
  }
  return results;
}
