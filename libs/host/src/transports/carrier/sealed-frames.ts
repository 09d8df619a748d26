/** Takes sealed frames out of a stream that arrives in pieces. */
import { HEADER_BYTES, TAG_BYTES, type Opener, type SealedKind } from './sealed.ts';

export interface OpenedFrame {
  readonly kind: SealedKind;
  readonly plain: Buffer;
}

export class SealedFrames {
  #rest: Buffer = Buffer.alloc(0);

  constructor(private readonly opener: Opener) {}

  push(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
  }

  /** The next frame, or null until more has arrived. @throws SealError when it is not what the other side sealed */
  next(): OpenedFrame | null {
    if (this.#rest.length < HEADER_BYTES) return null;
    const header = this.#rest.subarray(0, HEADER_BYTES);
    const { kind, length } = this.opener.header(header);
    const end = HEADER_BYTES + length + TAG_BYTES;
    if (this.#rest.length < end) return null;
    const { plain } = this.opener.open(header, this.#rest.subarray(HEADER_BYTES, end));
    this.#rest = this.#rest.subarray(end);
    return { kind, plain };
  }
}
