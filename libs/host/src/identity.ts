/** This host's own key pair: with it the source proves itself to a receiver, so that no secret goes through Redis. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { link, mkdir, open, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';

export interface Identity {
  /** Ed25519 public key, SPKI, base64: what `HostEndpoint.publicKey` announces. */
  readonly publicKey: string;
  /** Ed25519 signature, base64. */
  sign(bytes: Uint8Array): string;
}

/** Reads `<stateDir>/keys/host.pem`, or makes it: once and atomically, whoever else tries. @throws Error when others may read it */
export async function loadIdentity(stateDir: string): Promise<Identity> {
  const directory = join(stateDir, 'keys');
  const path = join(directory, 'host.pem');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (!(await exists(path))) await createKey(directory, path);
  const { mode } = await stat(path);
  if ((mode & 0o077) !== 0)
    throw new Error(`${path} is readable by others (mode ${(mode & 0o777).toString(8)})`);
  return identityOf(createPrivateKey(await readFile(path)));
}

/** Whether the owner of `publicKey` (SPKI, base64) signed these bytes. False for keys that are none. */
export function verifySignature(publicKey: string, bytes: Uint8Array, signature: string): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
    if (key.asymmetricKeyType !== 'ed25519') return false;
    return verify(null, bytes, key, Buffer.from(signature, 'base64'));
  } catch {
    return false;
  }
}

function identityOf(key: KeyObject): Identity {
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).toString('base64');
  return { publicKey, sign: (bytes) => sign(null, bytes, key).toString('base64') };
}

/** A hard link never replaces a file: of two creators the first wins, and no reader sees half a key. */
async function createKey(directory: string, path: string): Promise<void> {
  const pem = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' });
  const draft = join(directory, `.host.${randomBytes(8).toString('hex')}`);
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(pem);
    await file.sync();
    await link(draft, path).catch(ignoreExisting);
  } finally {
    await file.close();
    await unlink(draft);
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
