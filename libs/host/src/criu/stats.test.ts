import { describe, expect, test } from 'vitest';
import { parseDumpStats, parseRestoreStats } from './stats.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

/** As criu 4.2.1 wrote them: a small container, stopped and copied, then restored. */
const DUMP = bytes(
  '40 59 10 55 06 33 09 57 24 00 00 00 0a 22 08 e8 0a 10 81 c6 08 18 8b 3a 20 d6 05 28 b3 01 30 00' +
    '38 74 40 00 48 00 50 18 58 18 60 00 68 00 70 00',
);
const RESTORE = bytes('40 59 10 55 06 33 09 57 0f 00 00 00 12 0d 08 00 10 00 18 ce 0b 20 ad c5 04 28 74');

describe('the statistics of CRIU', () => {
  test('a dump', () => {
    expect(parseDumpStats(DUMP)).toEqual({
      freezingMs: 1.384,
      frozenMs: 140.033,
      memdumpMs: 7.435,
      memwriteMs: 0.726,
      pagesScanned: 179,
      pagesSkipped: 0,
      pagesWritten: 116,
    });
  });

  test('a restore writes the pages that the dump has written', () => {
    expect(parseRestoreStats(RESTORE)).toEqual({ forkingMs: 1.486, restoreMs: 74.413, pagesRestored: 116 });
  });

  test('pages of shared memory count too, and 64 bit numbers are read', () => {
    const shared = bytes(
      '40 59 10 55 06 33 09 57 1e 00 00 00 0a 1c 08 01 10 01 18 01 20 01 28 05 30 01 38 02 48 00' +
        '60 80 80 80 80 40 68 0a 70 80 01',
    );
    shared[8] = shared.length - 12;
    shared[13] = shared.length - 14;
    expect(parseDumpStats(shared)).toMatchObject({
      pagesScanned: 5 + 2 ** 34,
      pagesSkipped: 11,
      pagesWritten: 130,
    });
  });

  test.each([
    ['empty', bytes('')],
    ['another image', bytes('19 43 56 54 16 31 31 58 00 00 00 00')],
    ['cut off', DUMP.subarray(0, 30)],
    ['a restore in place of a dump', RESTORE],
    ['a number without end', bytes('40 59 10 55 06 33 09 57 04 00 00 00 0a 02 08 ff')],
  ])('%s is refused', (_, file) => {
    expect(() => parseDumpStats(file)).toThrow();
  });
});
