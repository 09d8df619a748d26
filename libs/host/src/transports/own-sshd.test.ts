import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createOwnSshd, loadOwnHostKey } from './own-sshd.ts';

let stateDir: string;
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'cmt-sshd-'));
});
afterEach(() => rm(stateDir, { recursive: true }));

const serves = (key: string) => createOwnSshd(key, () => undefined);

describe('the host key of a worker’s own ssh', () => {
  it('is made once, and the same from then on', async () => {
    const made = await loadOwnHostKey(stateDir);
    expect(made.public).toMatch(/^ssh-ed25519 AAAA\S+$/);
    expect(await loadOwnHostKey(stateDir)).toEqual(made);
    serves(made.private);
  });

  it('is made anew where the stored one cannot be read: ssh2 makes such keys now and then', async () => {
    const { private: good } = await loadOwnHostKey(stateDir);
    const torn = good.replace(/\n.{20}/, '\n');
    expect(() => serves(torn)).toThrow('Cannot parse privateKey');
    const file = join(stateDir, 'keys/ssh-host.json');
    await writeFile(file, JSON.stringify({ private: torn, public: 'ssh-ed25519 AAAA' }));
    const anew = await loadOwnHostKey(stateDir);
    serves(anew.private);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(anew);
  });
});
