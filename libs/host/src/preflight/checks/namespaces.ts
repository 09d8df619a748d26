/** Namespaces inside the container's, and those it shares with others. */
import { findingAbout, nameOf, type Check } from './finding.ts';

/** CRIU follows nested mount namespaces; every other kind it refuses (criu/namespaces.c, "Can't dump nested"). */
const ONE_OF_A_KIND = ['ipc', 'net', 'pid', 'time', 'user', 'uts'] as const;

export const nestedNamespaces: Check = (snapshot) => {
  const init = snapshot.processes.find(({ pid }) => pid === snapshot.init);
  if (init === undefined) return [];
  return snapshot.processes.flatMap((process) => {
    const nested = ONE_OF_A_KIND.filter((name) => {
      const own = process.namespaces[name];
      return own !== undefined && init.namespaces[name] !== undefined && own !== init.namespaces[name];
    });
    if (nested.length === 0) return [];
    return [
      findingAbout(snapshot, process, [], {
        code: 'NESTED_NAMESPACE',
        severity: 'hard',
        reason: `it has ${nested.join(' and ')} namespace${nested.length > 1 ? 's' : ''} of its own inside the container`,
        remedy: 'Stop what runs in it before the move: a sandbox, a browser, a container in the container.',
      }),
    ];
  });
};

export const sharedNetns: Check = (snapshot) =>
  snapshot.netnsSharers.map((sharer) =>
    findingAbout(snapshot, sharer, [], {
      code: 'NETNS_SHARED',
      severity: 'soft',
      reason: 'it is not of the container but uses its network, and would stay behind without one',
      remedy: 'Stop it before the move, or move its container together with this one.',
    }),
  );

/** System V shared memory of the host's IPC namespace stays on the host (criu/proc_parse.c, "doesn't live in IPC ns"). */
export const sysvOutside: Check = (snapshot) =>
  snapshot.processes
    .filter(({ namespaces: { ipc } }) => ipc !== undefined && ipc === snapshot.hostNamespaces.ipc)
    .filter(({ mappings }) => mappings.some((name) => name.startsWith('/SYSV')))
    .map((process) =>
      findingAbout(snapshot, process, [], {
        code: 'SYSV_IPC_OUTSIDE',
        severity: 'hard',
        reason: 'it uses System V shared memory of the host',
        remedy: 'Give the container an IPC namespace of its own in config.json.',
      }),
    );

/** CRIU walks down from init; what was put beside it (`runc exec`) is not seen, and dies with the source copy. */
export const besideInit: Check = (snapshot) => {
  const pids = new Set(snapshot.processes.map(({ pid }) => pid));
  return snapshot.processes
    .filter(({ pid, parent, state }) => pid !== snapshot.init && !pids.has(parent) && state !== 'Z')
    .map((process) =>
      findingAbout(snapshot, process, [], {
        code: 'EXEC_PROCESS',
        severity: 'soft',
        reason: `${nameOf(process)} was put into the container from outside (\`runc exec\`) and would not be moved`,
        remedy: 'End it before the move, and start it again on the target.',
      }),
    );
};
