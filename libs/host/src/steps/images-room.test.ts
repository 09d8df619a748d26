import { expect, test } from 'vitest';
import { chooseRoom } from './images-room.ts';

const MIB = 1024 * 1024;
const memory = (mib: number) => ({ free: mib * MIB, inMemory: true });
const disk = (mib: number) => ({ free: mib * MIB, inMemory: false });
const asked = (need: number, memoryToCome = 0) => ({ need: need * MIB, memoryToCome: memoryToCome * MIB });

test.each([
  ['memory has room', { images: memory(100), spill: disk(1000), ...asked(80) }, 'images'],
  ['not for the copy beside it', { images: memory(100), spill: disk(1000), ...asked(80, 70) }, 'spill'],
  [
    'nor has the disk: little memory is better than no move',
    { images: memory(100), spill: disk(10), ...asked(80, 70) },
    'images',
  ],
  ['memory has none', { images: memory(10), spill: disk(1000), ...asked(80) }, 'spill'],
  ['neither has', { images: memory(10), spill: disk(10), ...asked(80) }, null],
  [
    'images go to disk anyway: the copy needs none of that',
    { images: disk(100), spill: disk(100), ...asked(80, 70) },
    'images',
  ],
  ['what is called a disk is memory, too', { images: memory(10), spill: memory(1000), ...asked(80) }, null],
] as const)('%s', (_, room, choice) => {
  expect(chooseRoom(room)).toBe(choice);
});
