/** How a check words what it finds: which process, which file, what is wrong, what helps. */
import type { Finding } from '@cmt/contracts';
import type { ProcessName, ScannedProcess, Snapshot } from '../snapshot.ts';

/** One question about a container, answered from what was read of it. Pure. */
export type Check = (snapshot: Snapshot) => Finding[];

export type Words = Pick<Finding, 'code' | 'severity' | 'remedy'> & { readonly reason: string };

/** `hard` only for what CRIU refuses for certain; `soft` for what may work, or works with a loss. */
export function findingAbout(
  snapshot: Snapshot,
  process: ProcessName,
  fds: readonly number[],
  { reason, ...words }: Words,
): Finding {
  const files = fds.length === 0 ? '' : `, fd ${fds.join(', ')}`;
  return { ...words, host: snapshot.host, message: `${nameOf(process)}${files}: ${reason}` };
}

export const nameOf = ({ comm, pid }: ProcessName): string => `${comm} (pid ${pid})`;

/** One finding for each process and thing that several of its files are, e.g. the three standard streams. */
export function findingsByTarget(
  snapshot: Snapshot,
  wordsOf: (file: ScannedProcess['files'][number], process: ScannedProcess) => Words | null,
): Finding[] {
  return snapshot.processes.flatMap((process) => {
    const groups = new Map<string, { words: Words; fds: number[] }>();
    for (const file of [...process.files].sort((a, b) => a.fd - b.fd)) {
      const words = wordsOf(file, process);
      if (words === null) continue;
      const group = groups.get(`${words.code} ${words.reason}`) ?? { words, fds: [] };
      group.fds.push(file.fd);
      groups.set(`${words.code} ${words.reason}`, group);
    }
    return [...groups.values()].map(({ words, fds }) => findingAbout(snapshot, process, fds, words));
  });
}

/** Inodes of all sockets that the container holds. */
export const heldSockets = (snapshot: Snapshot): Set<number> =>
  new Set(
    snapshot.processes.flatMap(({ files }) =>
      files.flatMap(({ status }) => (status?.kind === 'socket' ? [status.inode] : [])),
    ),
  );
