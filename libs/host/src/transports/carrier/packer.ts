/** Packs the frames of one file where that is worth it: memory that does not compress costs a look now and then. */
import type { Zstd } from './zstd.ts';

/** Bytes below which a frame goes as it is. */
const SMALLEST = 4096;
/** Of its size, at most what a packed frame may have to be sent packed: unpacking costs the target time. */
const WORTH_IT = 0.9;
/** Frames that at most go as they are before the next look. */
const MOST_PASSED = 16;

export class Packer {
  #passing = 0;
  #pass = 1;

  constructor(private readonly zstd: Pick<Zstd, 'pack'>) {}

  /** The next frame of the file, packed; null: send it as it is. */
  pack(plain: Buffer): Buffer | null {
    if (plain.length < SMALLEST) return null;
    if (this.#passing > 0) {
      this.#passing -= 1;
      return null;
    }
    const packed = this.zstd.pack(plain);
    if (packed.length <= WORTH_IT * plain.length) {
      this.#pass = 1;
      return packed;
    }
    this.#passing = this.#pass;
    this.#pass = Math.min(2 * this.#pass, MOST_PASSED);
    return null;
  }
}
