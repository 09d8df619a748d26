/** What is written onto a host's disk (the overlay's upper layer) before its first boot: names, keys, sshd. */
import { randomBytes } from 'node:crypto';
import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '@cmt/host';
import type { Lab, LabHost } from './lab.ts';

const sshdConfig = `HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
StreamLocalBindUnlink yes
MaxSessions 200
MaxStartups 200
`;

/** Makes the key that opens every host, and each host's own; writes known_hosts. About 10 ms a key. */
export async function makeKeys(lab: Lab): Promise<void> {
  await makeKey(lab.sshKeyFile, `cmt-lab-${lab.name}`);
  const lines = await Promise.all(
    lab.hosts.map(async (host) => {
      await makeDirs(host.dir, ['upper', 'work', 'root', 'log', 'upper/etc/ssh']);
      const key = join(host.dir, 'upper/etc/ssh/ssh_host_ed25519_key');
      await makeKey(key, host.name);
      const [type, blob] = (await readFile(`${key}.pub`, 'utf8')).split(' ');
      return `${host.name},${host.address} ${type ?? ''} ${blob ?? ''}\n`;
    }),
  );
  await writeFile(lab.knownHostsFile, lines.join(''), { mode: 0o600 });
}

/** Writes one host's files. Needs `makeKeys` to have run. */
export async function fillDisk(lab: Lab, host: LabHost): Promise<void> {
  const disk = join(host.dir, 'upper');
  await makeDirs(disk, ['etc/ssh/sshd_config.d', 'usr/local/bin', 'usr/local/sbin']);
  const names = [...lab.hosts, { name: 'gateway', address: lab.fabric.gateway }];
  const hosts = ['127.0.0.1 localhost', ...names.map(({ name, address }) => `${address} ${name}`)].join('\n');
  await writeOpen(join(disk, 'etc/hosts'), `${hosts}\n`);
  await writeOpen(join(disk, 'etc/hostname'), `${host.name}\n`);
  await writeOpen(join(disk, 'etc/machine-id'), `${randomBytes(16).toString('hex')}\n`);
  await writeOpen(join(disk, 'etc/ssh/sshd_config.d/50-cmt-lab.conf'), sshdConfig);
  await symlink(process.execPath, join(disk, 'usr/local/bin/node')).catch(() => undefined);
  await giveKeys(lab, join(disk, 'root/.ssh'));
}

async function giveKeys(lab: Lab, dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await chmod(dirname(dir), 0o700);
  await copyFile(lab.sshKeyFile, join(dir, 'id_ed25519'));
  await copyFile(`${lab.sshKeyFile}.pub`, join(dir, 'id_ed25519.pub'));
  await copyFile(`${lab.sshKeyFile}.pub`, join(dir, 'authorized_keys'));
  await copyFile(lab.knownHostsFile, join(dir, 'known_hosts'));
}

/** Directories anybody may enter: the upper layer's modes are what the host sees, whatever our umask. */
async function makeDirs(root: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    let dir = root;
    for (const part of path.split('/')) {
      dir = join(dir, part);
      await mkdir(dir, { recursive: true });
      await chmod(dir, 0o755);
    }
  }
}

async function writeOpen(path: string, text: string): Promise<void> {
  await writeFile(path, text);
  await chmod(path, 0o644);
}

async function makeKey(path: string, comment: string): Promise<void> {
  const args = ['-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', path];
  await run('ssh-keygen', args, { timeoutMs: 60_000 });
}
