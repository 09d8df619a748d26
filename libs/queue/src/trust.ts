/** Whose jobs are obeyed: this process's own key, and the `*.pub` files (Ed25519, PEM) of a directory. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { statSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { keyId, type KeyPair } from './key-pair.ts';

export interface Trust {
  /** The trusted public key of that id, or null. Sees keys that were added or removed since the start. */
  find(id: string): Promise<KeyObject | null>;
}

/** `own` is trusted always: whoever can sign with it is this very user. */
export function trustIn(own: KeyPair, directory: string | undefined, logger: Logger): Trust {
  let known = new Map<string, KeyObject>();
  let readAt = -1;
  const refresh = async (dir: string) => {
    // Asked for every job: a way through the thread pool would cost more than all the rest of a signature's check.
    const { mtimeMs } = statSync(dir);
    if (mtimeMs === readAt) return;
    known = await readKeys(dir, logger);
    readAt = mtimeMs;
  };
  return {
    find: async (id) => {
      if (id === own.id) return own.publicKey;
      if (directory === undefined) return null;
      try {
        await refresh(directory);
      } catch (error) {
        // Who cannot say whom to trust trusts nobody.
        known = new Map();
        logger.error({ err: error, directory }, 'the trusted keys cannot be read');
      }
      return known.get(id) ?? null;
    },
  };
}

async function readKeys(directory: string, logger: Logger): Promise<Map<string, KeyObject>> {
  const keys = new Map<string, KeyObject>();
  for (const name of (await readdir(directory)).filter((file) => file.endsWith('.pub'))) {
    try {
      const key = createPublicKey(await readFile(join(directory, name), 'utf8'));
      if (key.asymmetricKeyType !== 'ed25519') throw new Error('not an Ed25519 key');
      keys.set(keyId(key), key);
    } catch (error) {
      logger.warn({ err: error, file: join(directory, name) }, 'this trusted key is left out');
    }
  }
  return keys;
}
