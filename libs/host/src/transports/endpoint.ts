/** How other hosts reach this one: what its worker announces, and where its receiver listens. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostEndpoint, WorkerConfig } from '@cmt/contracts';
import type { Identity } from '../identity.ts';
import { loadOwnHostKey } from './own-sshd.ts';

/** The receiver's unix socket of a worker. */
export const receiveSocketOf = (config: Pick<WorkerConfig, 'stateDir'>): string =>
  join(config.stateDir, 'run', 'receive.sock');

/** The endpoint of this host. `sshDir` holds sshd's public host keys. */
export async function hostEndpoint(
  config: WorkerConfig,
  identity: Identity,
  sshDir = '/etc/ssh',
): Promise<HostEndpoint> {
  if (config.agentless !== undefined)
    return ownEndpoint(config, identity, (await loadOwnHostKey(config.stateDir)).public);
  return {
    address: config.address,
    sshPort: config.sshPort,
    sshUser: config.sshUser,
    sshHostKeys: await hostKeys(sshDir),
    receiveSocket: receiveSocketOf(config),
    receivePort: config.receivePort,
    publicKey: identity.publicKey,
  };
}

/** Of a worker that speaks ssh itself. */
const ownEndpoint = (config: WorkerConfig, identity: Identity, hostKey: string): HostEndpoint => ({
  address: config.address,
  sshPort: config.receivePort,
  sshUser: 'cmt',
  sshHostKeys: [hostKey],
  receiveSocket: receiveSocketOf(config),
  receivePort: config.receivePort,
  publicKey: identity.publicKey,
});

/** Type and key of every `ssh_host_*_key.pub`, without comment; none where there is no sshd. */
async function hostKeys(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  const files = names.filter((name) => /^ssh_host_\w+_key\.pub$/.test(name)).sort();
  const lines = await Promise.all(files.map((name) => readFile(join(directory, name), 'utf8')));
  return lines.map((line) => line.trim().split(/\s+/).slice(0, 2).join(' '));
}
