/**
 * The Ed25519 key with which a process signs its jobs: made at the first start, kept in `<stateDir>/keys`.
 *
 * INVARIANTS
 * - The private key is readable by its owner only, from its first byte on disk.
 * - Two processes that start at once end up with the same key.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

export interface KeyPair {
  /** First 16 hex digits of the SHA-256 of the public key (SPKI, DER). */
  readonly id: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** SPKI, base64: as `HostEndpoint.publicKey` wants it. */
  readonly publicKeyBase64: string;
}

const PRIVATE = 'cmt.key';
const PUBLIC = 'cmt.pub';

/** The key pair of this state directory. `keys/cmt.pub` is what others put into their trusted keys directory. */
export async function loadKeyPair(stateDir: string): Promise<KeyPair> {
  const dir = join(stateDir, 'keys');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const file = join(dir, PRIVATE);
  const pem = (await readIfThere(file)) ?? (await createOnce(file));
  const privateKey = createPrivateKey(pem);
  if (privateKey.asymmetricKeyType !== 'ed25519') throw new Error(`${file} is not an Ed25519 key`);
  const publicKey = createPublicKey(privateKey);
  await publish(join(dir, PUBLIC), publicKey);
  return {
    id: keyId(publicKey),
    privateKey,
    publicKey,
    publicKeyBase64: spki(publicKey).toString('base64'),
  };
}

/** Names a public key: first 16 hex digits of its SHA-256. */
export const keyId = (publicKey: KeyObject): string =>
  createHash('sha256').update(spki(publicKey)).digest('hex').slice(0, 16);

const spki = (publicKey: KeyObject): Buffer => publicKey.export({ type: 'spki', format: 'der' });

/** Whoever links first wins; the other reads the winner's. */
async function createOnce(file: string): Promise<string> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const draft = await draftOf(file, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  try {
    await link(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(draft, { force: true });
  }
  return await readFile(file, 'utf8');
}

async function publish(file: string, publicKey: KeyObject): Promise<void> {
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  if ((await readIfThere(file)) !== pem) await rename(await draftOf(file, pem), file);
}

/** A file of its own beside `file`, 0600, its content on disk. */
async function draftOf(file: string, text: string): Promise<string> {
  const draft = `${file}.${process.pid}.${performance.now()}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return draft;
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
