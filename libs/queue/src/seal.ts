/**
 * Signed jobs: whoever can write to Redis can still make nobody run anything.
 *
 * INVARIANTS
 * - What is parsed is the very bytes that were signed; nothing unsigned is looked at before the signature holds.
 * - The signature covers the queue's name: a job moved to another queue is refused.
 */
import { CmtError, MAX_JOB_BYTES, Sealed } from '@cmt/contracts';
import { sign, verify } from 'node:crypto';
import { z } from 'zod';
import { AnyJson } from './json-text.ts';
import type { KeyPair } from './key-pair.ts';
import type { Trust } from './trust.ts';

/** The newest format of jobs that this cmt understands. */
const FORMAT = 1;

/** How the opener of a job judges it, and the host it names in its refusals. */
export interface Opener {
  readonly trust: Trust;
  readonly host: string;
}

/**
 * Signs `value` for one queue.
 * @throws {CmtError} REQUEST_INVALID when it is larger than a job may be
 */
export function seal(queueName: string, value: unknown, keys: KeyPair): Sealed {
  const body = JSON.stringify(value);
  const sealed: Sealed = {
    body,
    key: keys.id,
    signature: sign(null, signedBytes(queueName, body), keys.privateKey).toString('base64'),
  };
  // In JSON a character takes six bytes at most: what is far from the limit need not be written out for that.
  const size = body.length > MAX_JOB_BYTES / 8 ? Buffer.byteLength(JSON.stringify(sealed)) : 0;
  if (size > MAX_JOB_BYTES)
    throw new CmtError('REQUEST_INVALID', {
      problem: `it takes ${size} bytes, ${MAX_JOB_BYTES} are allowed`,
    });
  return sealed;
}

/** What a body must be; a function where that depends on the body itself. */
type SchemaOf<T> = z.ZodType<T> | ((value: unknown) => z.ZodType<T>);

/**
 * The value of a job that was signed for this queue by somebody trusted.
 * @throws {CmtError} REQUEST_FORGED, REQUEST_NEWER, REQUEST_INVALID
 */
export async function openSealed<T>(
  queueName: string,
  sealed: unknown,
  schema: SchemaOf<T>,
  { trust, host }: Opener,
): Promise<T> {
  const forged = (problem: string) => new CmtError('REQUEST_FORGED', { queue: queueName, host, problem });
  const parsed = Sealed.safeParse(sealed);
  if (!parsed.success) throw forged('it is not a signed job');
  const { body, key, signature } = parsed.data;
  const publicKey = await trust.find(key);
  if (publicKey === null) throw forged(`key ${key} is not trusted`);
  if (!verify(null, signedBytes(queueName, body), publicKey, Buffer.from(signature, 'base64')))
    throw forged('the signature does not fit');
  return parseBody(body, schema, host);
}

const Version = z.object({ v: z.number() });

function parseBody<T>(body: string, schema: SchemaOf<T>, host: string): T {
  const value = parseJson(body);
  const version = Version.safeParse(value);
  if (version.success && version.data.v > FORMAT)
    throw new CmtError('REQUEST_NEWER', { version: version.data.v, host });
  const parsed = (typeof schema === 'function' ? schema(value) : schema).safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new CmtError('REQUEST_INVALID', {
    problem: issue === undefined ? 'unknown' : `${issue.path.join('.') || 'job'}: ${issue.message}`,
  });
}

function parseJson(text: string): unknown {
  const parsed = AnyJson.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new CmtError('REQUEST_INVALID', { problem: 'the body is not JSON' });
}

const signedBytes = (queueName: string, body: string): Buffer => Buffer.from(`${queueName}\0${body}`);
