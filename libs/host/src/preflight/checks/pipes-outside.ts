/** Pipes that a process outside holds too. CRIU dumps them, and the other end stays behind (seen with criu 4.2.1). */
import { nameOf, findingsByTarget, type Check } from './finding.ts';
import { inodeIn } from '../proc-text.ts';

export const pipesOutside: Check = (snapshot) =>
  findingsByTarget(snapshot, ({ fd, target }) => {
    const inode = inodeIn(target, 'pipe');
    const other = inode === null ? undefined : snapshot.pipesOutside.get(inode);
    if (other === undefined) return null;
    const after = fd <= 2 ? 'on the target it leads to /dev/null' : 'on the target it has no other end';
    return {
      code: 'PIPE_OUTSIDE',
      severity: 'soft',
      reason: `${target} is shared with ${nameOf(other)} outside the container; ${after}`,
      remedy: 'Start the container with its streams on /dev/null or on a log file inside.',
    };
  });
