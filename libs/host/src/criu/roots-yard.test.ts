import { expect, test } from 'vitest';
import { rootsYardIn } from './roots-yard.ts';

test('the yard is found where the log speaks of a mount in it', () => {
  const log = '(00.01) mnt:  Mounting proc @/tmp/.criu.mntns.js9OXk/9-0000000000/proc (0)\n';
  expect(rootsYardIn(log)).toBe('/tmp/.criu.mntns.js9OXk');
});

test('a log of a restore that did not come so far names none', () => {
  expect(rootsYardIn('(00.00) Version: 4.2.1\n')).toBeNull();
  expect(rootsYardIn('/tmp/.criu.mntns.')).toBeNull();
});
