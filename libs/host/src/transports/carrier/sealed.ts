/**
 * Sealed frames: what a carrier writes to its connection. Each is encrypted and authenticated by itself, in its order.
 *
 *     byte 0     kind: 1 message, 2 bytes of a file, 3 bytes of a file, packed (zstd.ts)
 *     byte 1-3   zero
 *     byte 4-7   index of the file (kinds 2 and 3)
 *     byte 8-11  length of what is sealed
 *     then       ciphertext, and 16 bytes of tag
 *
 * AES-128-GCM (NIST SP 800-38D) under a key that is fresh for every connection; the nonce counts the frames, the header is
 * authenticated with them. So a frame that was changed, left out, repeated or moved is not opened; and an end that comes too
 * early is seen because the last message is missing.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto';

export const HEADER_BYTES = 12;
export const TAG_BYTES = 16;
export const KEY_BYTES = 16;
/** Most bytes in one frame, compressed or not. */
export const MAX_SEALED = 1024 * 1024;
const NONCE_BYTES = 12;

export type SealedKind = 'message' | 'bytes' | 'zstd';
const KINDS: readonly (SealedKind | null)[] = [null, 'message', 'bytes', 'zstd'];

export interface SealedHeader {
  readonly kind: SealedKind;
  readonly file: number;
  readonly length: number;
}

/** The stream is not what the other end sealed. */
export class SealError extends Error {
  override readonly name = 'SealError';
}

/** The key of one direction of a connection that bytes flow on both ways: a nonce must never be used twice with one key. */
export const keyTowards = (side: 'source' | 'target', key: Buffer): Buffer =>
  Buffer.from(hkdfSync('sha256', key, '', `cmt pages towards the ${side}`, KEY_BYTES));

class Counter {
  readonly #nonce = Buffer.alloc(NONCE_BYTES);
  #count = 0;

  next(): Buffer {
    this.#nonce.writeUIntBE(this.#count++, NONCE_BYTES - 6, 6);
    return this.#nonce;
  }
}

export class Sealer {
  readonly #counter = new Counter();

  constructor(private readonly key: Buffer) {}

  /** The pieces of one frame, to be written in this order; `plain` may be overwritten at once. */
  seal(kind: SealedKind, file: number, plain: Buffer): readonly [Buffer, Buffer, Buffer] {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt8(KINDS.indexOf(kind), 0);
    header.writeUInt32BE(file, 4);
    header.writeUInt32BE(plain.length, 8);
    const cipher = createCipheriv('aes-128-gcm', this.key, this.#counter.next()).setAAD(header);
    const body = cipher.update(plain);
    cipher.final();
    return [header, body, cipher.getAuthTag()];
  }
}

export class Opener {
  readonly #counter = new Counter();

  constructor(private readonly key: Buffer) {}

  /** @throws SealError when this cannot be a header */
  header(bytes: Buffer): SealedHeader {
    const kind = KINDS[bytes.readUInt8(0)] ?? null;
    const [file, length] = [bytes.readUInt32BE(4), bytes.readUInt32BE(8)];
    if (kind === null || length > MAX_SEALED) throw new SealError('a frame that nobody sealed');
    return { kind, file, length };
  }

  /** @param sealed ciphertext and tag @throws SealError when it is not what was sealed */
  open(header: Buffer, sealed: Buffer): { readonly plain: Buffer; readonly tag: Buffer } {
    const tag = sealed.subarray(sealed.length - TAG_BYTES);
    const decipher = createDecipheriv('aes-128-gcm', this.key, this.#counter.next());
    decipher.setAAD(header).setAuthTag(tag);
    const plain = decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES));
    try {
      decipher.final();
    } catch {
      throw new SealError('a frame is not what was sealed');
    }
    return { plain, tag };
  }
}

/** The digest of a file: over the tags of its frames, each of which stands for the bytes that were sealed. */
export class TagDigest {
  readonly #hash = createHash('sha256');

  update(tag: Buffer): void {
    this.#hash.update(tag);
  }

  /** Base64. Ends the digest. */
  result(): string {
    return this.#hash.digest('base64');
  }
}
