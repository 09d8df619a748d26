/** A real sshd on a loopback port with keys of its own, for tests of the ssh transport. */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { run, start } from '../../libs/host/src/process.ts';

export interface TestSshd {
  readonly port: number;
  /** `ssh-ed25519 AAAA…` */
  readonly hostKeys: string[];
  /** Private key file that it accepts for root, and one that it does not. */
  readonly acceptedKey: string;
  readonly strangeKey: string;
  stop(): Promise<void>;
}

export async function startSshd(directory: string): Promise<TestSshd> {
  await mkdir('/run/sshd', { recursive: true });
  const port = await freePort();
  const [hostKey, rsaKey, acceptedKey, strangeKey] = await Promise.all([
    makeKey(join(directory, 'host-ed25519'), 'ed25519'),
    makeKey(join(directory, 'host-rsa'), 'rsa'),
    makeKey(join(directory, 'accepted'), 'ed25519'),
    makeKey(join(directory, 'strange'), 'ed25519'),
  ]);
  const authorized = join(directory, 'authorized_keys');
  await writeFile(authorized, await readFile(`${acceptedKey}.pub`), { mode: 0o600 });
  await chmod(authorized, 0o600);
  const config = join(directory, 'sshd_config');
  await writeFile(config, configuration(port, [hostKey, rsaKey], authorized));
  const sshd = start('/usr/sbin/sshd', ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  await listening(sshd.stderr);
  return {
    port,
    hostKeys: await Promise.all([hostKey, rsaKey].map(publicKey)),
    acceptedKey,
    strangeKey,
    stop: async () => {
      sshd.kill('SIGTERM');
      await sshd;
    },
  };
}

/** An ssh-agent that holds one key. */
export async function startAgent(
  directory: string,
  key: string,
): Promise<{ socket: string; stop: () => Promise<void> }> {
  const socket = join(directory, 'agent.sock');
  const agent = start('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] });
  await new Promise((resolve) => agent.stdout?.once('data', resolve));
  await run('ssh-add', ['-q', key], { timeoutMs: 10_000, env: { SSH_AUTH_SOCK: socket } });
  return {
    socket,
    stop: async () => {
      agent.kill('SIGTERM');
      await agent;
    },
  };
}

/** A loopback port that nobody uses at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function makeKey(path: string, type: 'ed25519' | 'rsa'): Promise<string> {
  await run('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', path], { timeoutMs: 20_000 });
  return path;
}

async function publicKey(path: string): Promise<string> {
  return (await readFile(`${path}.pub`, 'utf8')).split(' ').slice(0, 2).join(' ');
}

function configuration(port: number, hostKeys: string[], authorized: string): string {
  return [
    'ListenAddress 127.0.0.1',
    `Port ${port}`,
    ...hostKeys.map((key) => `HostKey ${key}`),
    `AuthorizedKeysFile ${authorized}`,
    'PidFile none',
    'UsePAM no',
    'StrictModes no',
    'PermitRootLogin prohibit-password',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    '',
  ].join('\n');
}

/** Resolves when sshd says that it listens; what it says later is read and dropped, so that the pipe never fills. */
function listening(stderr: NodeJS.ReadableStream | null): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    stderr?.on('data', (text: Buffer) => {
      said = `${said}${text.toString()}`.slice(-4096);
      if (said.includes('Server listening on')) resolve();
    });
    stderr?.once('end', () => reject(new Error(`sshd did not start: ${said}`)));
  });
}
