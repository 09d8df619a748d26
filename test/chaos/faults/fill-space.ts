/**
 * The file system that takes the target's images is full until the migration has ended. It is a tmpfs as large as half of
 * this machine's memory, so it is made small first and then filled.
 */
import { labScript } from '@cmt/lab';
import type { Fault } from './fault.ts';

const MOUNT = '/run';
const FILLER = `${MOUNT}/filler`;

const fill = `used=$(df --output=used -k ${MOUNT} | tail -n 1)
mount -o remount,size=$((used + 1024))k ${MOUNT}
dd if=/dev/zero of=${FILLER} bs=4k 2>/dev/null || true`;
const empty = `rm -f ${FILLER} && mount -o remount,size=50% ${MOUNT}`;

export const fillTarget: Fault = ({ fleet: { lab }, target }) =>
  Promise.resolve({
    strike: async () => {
      const at = Date.now();
      await labScript(lab, target, fill);
      return { at };
    },
    heal: async () => {
      await labScript(lab, target, empty);
    },
    lasts: true,
  });
