/** What the machine must have before anything is made on it. */
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { LabError } from './lab-error.ts';

/** What a lab's root filesystem is built with; not needed where one is there. */
export const BUILDER = { debootstrap: 'debootstrap' };

/** Programs a lab starts on the machine, and the Debian package of each. */
const programs = {
  ip: 'iproute2',
  nft: 'nftables',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  'ssh-keygen': 'openssh-client',
  unshare: 'util-linux',
};

/** @throws {LabError} naming everything that is missing, with the command that mends it. */
export async function checkMachine(): Promise<void> {
  if (process.getuid?.() !== 0) throw new LabError('a lab makes namespaces and mounts: run it as root');
  await requirePrograms(programs);
}

/** @param needed programs, and the Debian package of each. @throws {LabError} naming what is missing */
export async function requirePrograms(needed: Readonly<Record<string, string>>): Promise<void> {
  const missing: string[] = [];
  for (const [program, debianPackage] of Object.entries(needed)) {
    if (!(await isOnPath(program))) missing.push(debianPackage);
  }
  if (missing.length > 0) {
    throw new LabError(`programs are missing: apt-get install ${[...new Set(missing)].join(' ')}`);
  }
}

async function isOnPath(program: string): Promise<boolean> {
  const dirs = (process.env['PATH'] ?? '').split(':');
  const found = dirs.map((dir) => access(join(dir, program), constants.X_OK).then(() => true));
  return Promise.any(found).catch(() => false);
}
