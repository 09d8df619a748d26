/**
 * A browser that has shown the token gets a cookie that says so, signed with a key made of the token: any board of the same
 * token knows it, also after a start, and a new token ends all sessions.
 *
 * INVARIANTS
 * - The token itself is in no cookie and no page, and in no address for longer than one redirect.
 * - Secrets are compared in constant time.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

export const COOKIE = 'cmt_board';

/** Milliseconds that a session lasts. */
export const SESSION_MS = 12 * 3600_000;

export class Sessions {
  readonly #token: Buffer;
  readonly #key: Buffer;

  constructor(secret: string) {
    this.#token = digest(secret);
    this.#key = createHmac('sha256', secret).update('cmt board session').digest();
  }

  /** Whether that is the token. */
  opens(token: unknown): boolean {
    return typeof token === 'string' && timingSafeEqual(digest(token), this.#token);
  }

  /** The value of a cookie. @param now milliseconds since 1970 */
  begin(now: number): string {
    const body = `${now + SESSION_MS}.${randomBytes(9).toString('base64url')}`;
    return `${body}.${this.#sign(body)}`;
  }

  isOpen(cookie: string | undefined, now: number): boolean {
    const [until = '', salt = '', signature = ''] = (cookie ?? '').split('.');
    const isOurs = timingSafeEqual(digest(signature), digest(this.#sign(`${until}.${salt}`)));
    return isOurs && Number(until) > now;
  }

  #sign(body: string): string {
    return createHmac('sha256', this.#key).update(body).digest('base64url');
  }
}

/** Of equal length, whatever is compared. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** One cookie of a `Cookie` header. */
export function cookieOf(header: string | undefined, name: string): string | undefined {
  const pairs = (header ?? '').split(';').map((pair) => pair.trim());
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);
}
