/** Open files without a name: CRIU carries the content in its images, up to a limit (criu/files-reg.c, ghost files). */
import { findingsByTarget, type Check } from './finding.ts';

/** `ghost-limit` in the configuration that cmt gives to criu (criu/config.ts). */
const GHOST_LIMIT = 512 * 1024 * 1024;
const DELETED = ' (deleted)';

export const deletedFiles: Check = (snapshot) => {
  const mounts = new Set(snapshot.mounts.map(({ id }) => id));
  return findingsByTarget(snapshot, ({ target, mount, status }) => {
    if (!target.endsWith(DELETED) || mount === null || !mounts.has(mount) || status?.kind !== 'regular')
      return null;
    const path = target.slice(0, -DELETED.length);
    const code = 'DELETED_FILE';
    if (status.links > 0)
      return {
        ...{ code, severity: 'hard' },
        reason: `${path} was removed while open, and has another name left: CRIU would have to link it back`,
        remedy: 'Have the program close the file, or remove its other name too.',
      };
    if (status.bytes > GHOST_LIMIT)
      return {
        ...{ code, severity: 'hard' },
        reason: `${path} was removed while open and holds ${status.bytes} bytes, more than images carry`,
        remedy: 'Have the program close it, or keep such files on a tmpfs of the container.',
      };
    return {
      ...{ code, severity: 'note' },
      reason: `${path} was removed while open; its ${status.bytes} bytes move inside the images`,
      remedy: 'Nothing needs to be done.',
    };
  });
};
