/** Mounts that were made inside and whose content CRIU cannot make again (criu/filesystems.c). */
import { findingAbout, type Check } from './finding.ts';

export const unsupportedMounts: Check = (snapshot) => {
  const init = snapshot.processes.find(({ pid }) => pid === snapshot.init);
  if (init === undefined) return [];
  const { mountPoints } = snapshot.circumstances;
  const fuse = snapshot.mounts.filter(
    ({ type, point }) => /^fuse(blk|\.|$)/.test(type) && !mountPoints.includes(point),
  );
  return [...new Set(fuse.map(({ point }) => point))].map((point) =>
    findingAbout(snapshot, init, [], {
      code: 'MOUNT_UNSUPPORTED',
      severity: 'hard',
      reason: `${point} is a FUSE mount made inside the container`,
      remedy: 'Unmount it before the move, or mount it on both hosts and bind it in through config.json.',
    }),
  );
};
