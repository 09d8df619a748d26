import { chmod, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadIdentity, verifySignature } from './identity.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cmt-identity-'));
});
afterEach(() => rm(directory, { recursive: true }));

describe('the identity of a host', () => {
  it('is made once, however many ask at the same time', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => loadIdentity(directory)));
    expect(new Set(all.map((identity) => identity.publicKey)).size).toBe(1);
    expect(await readdir(join(directory, 'keys'))).toEqual(['host.pem']);
    expect((await loadIdentity(directory)).publicKey).toBe(all[0]?.publicKey);
  });

  it('is private', async () => {
    await loadIdentity(directory);
    const path = join(directory, 'keys', 'host.pem');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, 'keys'))).mode & 0o777).toBe(0o700);
    await chmod(path, 0o640);
    await expect(loadIdentity(directory)).rejects.toThrow('readable by others');
  });

  it('signs what only its own key verifies', async () => {
    const [one, other] = await Promise.all([
      loadIdentity(join(directory, 'a')),
      loadIdentity(join(directory, 'b')),
    ]);
    const signature = one.sign(Buffer.from('text'));
    expect(verifySignature(one.publicKey, Buffer.from('text'), signature)).toBe(true);
    expect(verifySignature(one.publicKey, Buffer.from('texT'), signature)).toBe(false);
    expect(verifySignature(other.publicKey, Buffer.from('text'), signature)).toBe(false);
    expect(verifySignature('no key', Buffer.from('text'), signature)).toBe(false);
    expect(verifySignature(one.publicKey, Buffer.from('text'), '')).toBe(false);
  });
});
