/** Takes sealed frames out of a stream that arrives in pieces. What is read lands here once, and is opened where it lies. */
import { HEADER_BYTES, MAX_SEALED, TAG_BYTES, type Opener, type SealedKind } from './sealed.ts';

const LONGEST = HEADER_BYTES + MAX_SEALED + TAG_BYTES;

export interface OpenedFrame {
  readonly kind: SealedKind;
  readonly plain: Buffer;
}

export class SealedFrames {
  readonly #memory = Buffer.allocUnsafeSlow(2 * LONGEST);
  #from = 0;
  #to = 0;

  constructor(private readonly opener: Opener) {}

  /** Where the next bytes of the stream go: never empty, and what is begun here fits. Every frame that is whole has been taken before. */
  room(): Buffer {
    if (this.#from + LONGEST > this.#memory.length || this.#from === this.#to) this.#moveToFront();
    return this.#memory.subarray(this.#to);
  }

  /** That many bytes have been put there. */
  filled(count: number): void {
    this.#to += count;
  }

  /** The next frame, or null until more has arrived. @throws SealError when it is not what the other side sealed */
  next(): OpenedFrame | null {
    const arrived = this.#memory.subarray(this.#from, this.#to);
    if (arrived.length < HEADER_BYTES) return null;
    const header = arrived.subarray(0, HEADER_BYTES);
    const { kind, length } = this.opener.header(header);
    const end = HEADER_BYTES + length + TAG_BYTES;
    if (arrived.length < end) return null;
    const { plain } = this.opener.open(header, arrived.subarray(HEADER_BYTES, end));
    this.#from += end;
    return { kind, plain };
  }

  #moveToFront(): void {
    this.#memory.copyWithin(0, this.#from, this.#to);
    [this.#from, this.#to] = [0, this.#to - this.#from];
  }
}
