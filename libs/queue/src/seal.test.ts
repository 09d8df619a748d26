import { CmtError } from '@cmt/contracts';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadKeyPair } from './key-pair.ts';
import { openSealed, seal } from './seal.ts';
import { trustIn } from './trust.ts';

const logger = pino({ level: 'silent' });
const Wish = z.object({ v: z.literal(1), wish: z.string() });
const codeOf = async (opening: Promise<unknown>): Promise<string> => {
  const error = await opening.catch((cause: unknown) => cause);
  return error instanceof CmtError ? error.failure.code : 'opened';
};

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cmt-keys-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('the key of a process', () => {
  it('is made once, whoever comes at the same time, and is its owner’s alone', async () => {
    const pairs = await Promise.all(Array.from({ length: 20 }, () => loadKeyPair(dir)));
    expect(new Set(pairs.map(({ id }) => id)).size).toBe(1);
    expect((await readdir(join(dir, 'keys'))).sort()).toEqual(['cmt.key', 'cmt.pub']);
    expect((await stat(join(dir, 'keys/cmt.key'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(dir, 'keys'))).mode & 0o777).toBe(0o700);
    expect((await loadKeyPair(dir)).id).toBe(pairs[0]?.id);
  });

  it('of another kind is not used', async () => {
    await loadKeyPair(dir);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await writeFile(join(dir, 'keys/cmt.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await expect(loadKeyPair(dir)).rejects.toThrow('not an Ed25519 key');
  });
});

describe('a sealed job', () => {
  const value = { v: 1, wish: 'move' };

  it('opens where it was meant to', async () => {
    const keys = await loadKeyPair(dir);
    const opener = { trust: trustIn(keys, undefined, logger), host: 'alpha' };
    expect(await openSealed('q', seal('q', value, keys), Wish, opener)).toEqual(value);
  });

  it('does not open elsewhere, changed, newer, or without sense', async () => {
    const keys = await loadKeyPair(dir);
    const opener = { trust: trustIn(keys, undefined, logger), host: 'alpha' };
    const sealed = seal('q', value, keys);
    const open = (job: unknown, queue = 'q') => codeOf(openSealed(queue, job, Wish, opener));
    expect(await open(sealed, 'other')).toBe('REQUEST_FORGED');
    expect(await open({ ...sealed, body: sealed.body.replace('move', 'stop') })).toBe('REQUEST_FORGED');
    expect(await open({ ...sealed, signature: '' })).toBe('REQUEST_FORGED');
    expect(await open(null)).toBe('REQUEST_FORGED');
    expect(await open(seal('q', { ...value, v: 2 }, keys))).toBe('REQUEST_NEWER');
    expect(await open(seal('q', { v: 1 }, keys))).toBe('REQUEST_INVALID');
    expect(await open(seal('q', 'text', keys))).toBe('REQUEST_INVALID');
  });

  it('is not made larger than a job may be', async () => {
    const keys = await loadKeyPair(dir);
    expect(() => seal('q', 'x'.repeat(70_000), keys)).toThrow(/70\d+ bytes/);
  });
});

describe('trust', () => {
  it('follows the directory: a key is obeyed from when it is put there until it is taken away', async () => {
    const own = await loadKeyPair(join(dir, 'own'));
    const other = await loadKeyPair(join(dir, 'other'));
    const trusted = await mkdtemp(join(dir, 'trusted-'));
    const opener = { trust: trustIn(own, trusted, logger), host: 'alpha' };
    const open = () => codeOf(openSealed('q', seal('q', { v: 1, wish: 'x' }, other), Wish, opener));
    expect(await open()).toBe('REQUEST_FORGED');
    await writeFile(join(trusted, 'broken.pub'), 'this is no key');
    await writeFile(join(trusted, 'other.pub'), await readFile(join(dir, 'other/keys/cmt.pub')));
    expect(await open()).toBe('opened');
    await unlink(join(trusted, 'other.pub'));
    expect(await open()).toBe('REQUEST_FORGED');
  });

  it('is nobody’s when the directory cannot be read, but one’s own', async () => {
    const own = await loadKeyPair(dir);
    const trust = trustIn(own, join(dir, 'missing'), logger);
    expect(await trust.find('0'.repeat(16))).toBeNull();
    expect(await trust.find(own.id)).not.toBeNull();
  });
});
