/** Files that were opened on a mount the container does not have: CRIU cannot name them (criu/files-reg.c, "Can't lookup mount"). */
import { isTerminal } from './terminals.ts';
import { findingsByTarget, type Check } from './finding.ts';

/** Names that look like paths and are memory of the kernel's own mounts. */
const MEMORY = /^\/(memfd:|SYSV|anon_hugepage|dev\/zero \(deleted\)|\[aio\]|dmabuf:|secretmem)/;

export const streamsOutside: Check = (snapshot) => {
  const mounts = new Set(snapshot.mounts.map(({ id }) => id));
  return findingsByTarget(snapshot, (file) => {
    const { target, mount } = file;
    const isFile = target.startsWith('/') && !MEMORY.test(target);
    if (!isFile || mount === null || mounts.has(mount) || isTerminal(file)) return null;
    return {
      code: 'STREAM_OUTSIDE',
      severity: 'hard',
      reason: `${target} lies outside the container`,
      remedy:
        'Start the container with its streams on /dev/null or on a log file inside, and let it inherit no other file.',
    };
  });
};
