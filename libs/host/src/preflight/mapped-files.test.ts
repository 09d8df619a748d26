import { expect, test } from 'vitest';
import { sharedRanges } from './mapped-files.ts';

test('only shared writable mappings of files count', () => {
  const maps = [
    '7f00-7f10 rw-s 00000000 08:01 42    /data/shared with space',
    '7f10-7f20 r--s 00000000 08:01 43    /data/read-only',
    '7f20-7f30 rw-p 00000000 08:01 44    /data/private',
    '7f30-7f40 rw-s 00000000 00:01 0     /dev/zero without inode',
    '7f40-7f50 rw-p 00000000 00:00 0',
    '',
  ];
  expect(sharedRanges(maps.join('\n'))).toEqual(['7f00-7f10']);
});
