/** What carriers pack comes back as it was, and nothing else is unpacked. */
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { MAX_SEALED } from './sealed.ts';
import { loadZstd } from './zstd.ts';

const zstd = await loadZstd();

const text = (size: number): Buffer => Buffer.alloc(size, 'a line of text that memory is full of\n');
const mixed = (size: number): Buffer => Buffer.concat([randomBytes(size / 2), Buffer.alloc(size / 2)]);

describe.each([1, 100, 255, 256, 4096, 65_535, 65_792, 300_000, MAX_SEALED])('%i bytes', (size) => {
  it.each([
    ['zeros', Buffer.alloc(size)],
    ['text', text(size)],
    ['random', randomBytes(size)],
    ['half random', mixed(2 * Math.ceil(size / 2)).subarray(0, size)],
  ])('of %s come back as they were', (_, plain) => {
    const frame = zstd.pack(plain);
    expect(zstd.unpack(frame)?.equals(plain)).toBe(true);
  });
});

it('packs what repeats to a small part', () => {
  expect(zstd.pack(Buffer.alloc(MAX_SEALED)).length).toBeLessThan(1000);
  expect(zstd.pack(text(MAX_SEALED)).length).toBeLessThan(10_000);
});

/** Frames that no carrier makes, from their outer parts (RFC 8878, 3.1.1). */
const MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const block = (isLast: boolean, type: number, size: number, content: Buffer): Buffer => {
  const header = Buffer.alloc(3);
  header.writeUIntLE((size << 3) | (type << 1) | (isLast ? 1 : 0), 0, 3);
  return Buffer.concat([header, content]);
};
/** 128 KiB of one byte, in four. */
const run = (isLast: boolean): Buffer => block(isLast, 1, 128 * 1024, Buffer.from([7]));
const runs = (count: number): Buffer[] => Array.from({ length: count }, (_, n) => run(n === count - 1));
const sizedAs = (size: number): Buffer => {
  const header = Buffer.from([0xa0, 0, 0, 0, 0]);
  header.writeUInt32LE(size, 1);
  return header;
};
/** The descriptor says that nobody knows the size; then the window, as large as it may be. */
const UNSIZED = Buffer.from([0x00, 0x88]);
/** A frame and the checksum of what it should hold. */
const summed = (frame: readonly Buffer[], plain: Buffer): Buffer => {
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(plain));
  return Buffer.concat([...frame, sum]);
};
const packed = zstd.pack(text(1000));
const good = packed.subarray(0, -4);
const flipped = Buffer.from(packed);
flipped.writeUInt8(flipped.readUInt8(flipped.length - 1) ^ 1, flipped.length - 1);

describe('not unpacked is', () => {
  it.each([
    ['nothing', Buffer.alloc(0)],
    ['less than a checksum', Buffer.alloc(3)],
    ['what is no frame', randomBytes(1000)],
    ['what has another checksum', flipped],
    ['a frame that says it holds more than a frame may', [MAGIC, sizedAs(16 * MAX_SEALED), ...runs(128)]],
    ['one that holds more than it says', [MAGIC, sizedAs(1000), ...runs(128)]],
    ['one that holds less', [MAGIC, sizedAs(MAX_SEALED), ...runs(2)]],
    ['one that does not say what it holds', [MAGIC, UNSIZED, ...runs(4000)]],
    ['one behind another', [good, MAGIC, UNSIZED, ...runs(4000)]],
    ['two good ones', [good, good]],
    ['one that was torn', packed.subarray(0, packed.length - 1)],
    ['one that was torn, with its checksum', [packed.subarray(0, packed.length - 5)]],
    [
      'one without its last block',
      [MAGIC, sizedAs(MAX_SEALED), ...Array.from({ length: 8 }, () => run(false))],
    ],
    ['one with a byte too many', [good, Buffer.alloc(1)]],
    ['a skippable frame', Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4])],
    [
      'one with a block of a kind that there is not',
      [MAGIC, sizedAs(1000), block(true, 3, 0, Buffer.alloc(0))],
    ],
    ['one whose content is garbage', [MAGIC, sizedAs(1000), block(true, 2, 500, randomBytes(500))]],
  ])('%s', (_, bytes) => {
    const frame = Buffer.isBuffer(bytes) ? bytes : summed(bytes, text(1000));
    const before = process.memoryUsage().rss;
    expect(zstd.unpack(frame)).toBeNull();
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * MAX_SEALED);
  });

  it('and what comes after it is unpacked all the same', () => {
    expect(zstd.unpack(packed)).toEqual(text(1000));
    expect(
      zstd.unpack(summed([MAGIC, sizedAs(MAX_SEALED), ...runs(8)], Buffer.alloc(MAX_SEALED, 7))),
    ).toEqual(Buffer.alloc(MAX_SEALED, 7));
  });
});
