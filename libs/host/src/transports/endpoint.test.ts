import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostEndpoint, WorkerConfig } from '@cmt/contracts';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { hostEndpoint } from './endpoint.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cmt-endpoint-'));
});
afterEach(() => rm(directory, { recursive: true }));

const config = WorkerConfig.parse({ name: 'alpha', address: '10.0.0.1', stateDir: '/var/lib/cmt' });
const identity = { publicKey: 'KEY', sign: () => '' };

it('announces the public host keys without comments, and nothing else of /etc/ssh', async () => {
  await Promise.all([
    writeFile(join(directory, 'ssh_host_rsa_key.pub'), 'ssh-rsa BBBB root@alpha\n'),
    writeFile(join(directory, 'ssh_host_ed25519_key.pub'), 'ssh-ed25519 AAAA root@alpha\n'),
    writeFile(join(directory, 'ssh_host_ed25519_key-cert.pub'), 'no pin'),
    writeFile(join(directory, 'ssh_host_ed25519_key'), 'private'),
  ]);
  const endpoint = HostEndpoint.parse(await hostEndpoint(config, identity, directory));
  expect(endpoint.sshHostKeys).toEqual(['ssh-ed25519 AAAA', 'ssh-rsa BBBB']);
  expect(endpoint).toMatchObject({
    ...{ address: '10.0.0.1', sshPort: 22, sshUser: 'root', receivePort: 7070, publicKey: 'KEY' },
    receiveSocket: '/var/lib/cmt/run/receive.sock',
  });
});

it('is there without sshd too: tcp needs none', async () => {
  const endpoint = await hostEndpoint(config, identity, join(directory, 'none'));
  expect(endpoint.sshHostKeys).toEqual([]);
});
