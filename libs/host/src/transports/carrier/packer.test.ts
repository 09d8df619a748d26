import { describe, expect, it } from 'vitest';
import { Packer } from './packer.ts';

/** Frames are told apart by their first byte: 0 packs to a tenth, anything else to what it was. */
function packerOn(asked: number[] = []): { readonly packer: Packer; readonly asked: number[] } {
  const pack = (plain: Buffer): Buffer => {
    asked.push(plain.length);
    return plain.subarray(0, plain[0] === 0 ? plain.length / 10 : plain.length);
  };
  return { packer: new Packer({ pack }), asked };
}

const page = (first: number, size = 100_000): Buffer => Buffer.alloc(size, first);

describe('a file', () => {
  it('that packs is packed, frame by frame', () => {
    const { packer } = packerOn();
    for (let frame = 0; frame < 50; frame += 1) expect(packer.pack(page(0))).toHaveLength(10_000);
  });

  it('that does not is looked at again after 1, 2, 4, 8, 16 frames, and after 16 from then on', () => {
    const { packer, asked } = packerOn();
    const looks: number[] = [];
    for (let frame = 0; frame < 100; frame += 1) {
      expect(packer.pack(page(1))).toBeNull();
      if (asked.length > looks.length) looks.push(frame);
    }
    expect(looks).toEqual([0, 2, 5, 10, 19, 36, 53, 70, 87]);
  });

  it('that packs further on is packed from the next look', () => {
    const { packer } = packerOn();
    for (let frame = 0; frame < 40; frame += 1) packer.pack(page(1));
    const passed = Array.from({ length: 40 }, () => packer.pack(page(0))).filter((packed) => packed === null);
    expect(passed.length).toBeLessThanOrEqual(16);
    packer.pack(page(1));
    packer.pack(page(1));
    expect(packer.pack(page(0))).not.toBeNull();
  });

  it('of less than a page is not looked at', () => {
    const { packer, asked } = packerOn();
    expect(packer.pack(page(0, 4095))).toBeNull();
    expect(asked).toEqual([]);
  });
});
