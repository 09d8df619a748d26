/**
 * The disks of the virtual machine. The first is the lab's own root filesystem with the modules of Debian's kernel: made once, kept
 * outside the checkout beside the lab's, and made anew when either changes. The second is made for each run: Node, this build, and what is run.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, copyFile, cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DEFAULT_CACHE_DIR, ensureRootfs } from '@cmt/lab';
import { run } from '@cmt/host';
import { withMachineLock } from '../../apps/lab/src/machine-lock.ts';
import { bundle } from '../support/bundle.ts';

export interface Machine {
  readonly kernel: string;
  /** The first disk. Never written to: a machine's changes are dropped with it. */
  readonly disk: string;
  /** The lab's name for what is on it. */
  readonly rootfs: string;
}

/** Where scripts/setup.sh unpacks Debian's kernel package. */
const KERNEL_DIR = join(DEFAULT_CACHE_DIR, 'kernel');
const DIST = join(import.meta.dirname, '../../dist');
const COPY_MS = 5 * 60_000;
/** All that the first disk knows of the second. */
const INIT = `#!/bin/bash
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mount -t ext4 -o ro /dev/nvme1n1 /cmt
exec bash /cmt/init.sh
`;

/** Version of the unpacked kernel; null when there is none. */
export async function kernelVersion(): Promise<string | null> {
  const names = await readdir(join(KERNEL_DIR, 'boot')).catch(() => []);
  return names.find((name) => name.startsWith('vmlinuz-'))?.slice('vmlinuz-'.length) ?? null;
}

/** The machine's kernel and first disk, made when they are not there yet. @throws {Error} without an unpacked kernel */
export async function ensureMachine(onProgress: (line: string) => void): Promise<Machine> {
  const version = await kernelVersion();
  if (version === null) throw new Error(`there is no kernel in ${KERNEL_DIR}: run npm run setup`);
  const rootfs = await ensureRootfs({ cacheDir: DEFAULT_CACHE_DIR, onProgress });
  const hash = createHash('sha256')
    .update(`${basename(rootfs)} ${version} ${INIT}`)
    .digest('hex')
    .slice(0, 12);
  const disk = join(DEFAULT_CACHE_DIR, `kernel-disk-${hash}.ext4`);
  await withMachineLock('kernel-disk', async () => {
    if (!existsSync(disk)) await makeDisk({ disk, rootfs, version });
  });
  return { kernel: join(KERNEL_DIR, `boot/vmlinuz-${version}`), disk, rootfs: basename(rootfs) };
}

async function makeDisk(made: { disk: string; rootfs: string; version: string }): Promise<void> {
  const { disk, rootfs, version } = made;
  const tree = `${disk}.tree`;
  await removeOthers(disk);
  await run('cp', ['-a', rootfs, tree], { timeoutMs: COPY_MS });
  const modules = join(tree, 'usr/lib/modules', version);
  await mkdir(join(tree, 'usr/lib/modules'), { recursive: true });
  await run('cp', ['-a', join(KERNEL_DIR, 'lib/modules', version), modules], { timeoutMs: COPY_MS });
  await run('depmod', ['-b', join(tree, 'usr'), version], { timeoutMs: COPY_MS });
  await mkdir(join(tree, 'cmt'));
  await writeFile(join(tree, 'init'), INIT);
  await chmod(join(tree, 'init'), 0o755);
  await makeExt4(disk, tree, '2G');
  await rm(tree, { recursive: true });
}

/** Disks of earlier recipes, and what was left half made; a machine that runs keeps the file it has open. */
async function removeOthers(disk: string): Promise<void> {
  for (const name of await readdir(DEFAULT_CACHE_DIR))
    if (name.startsWith('kernel-disk-') && name !== basename(disk))
      await rm(join(DEFAULT_CACHE_DIR, name), { recursive: true });
}

/** What a machine runs: bundled into `dist/program.js`, with all it needs. */
export interface Program {
  readonly entry: string;
  /** Programs that it starts itself, as files of their names beside it. */
  readonly starts?: Readonly<Record<string, string>>;
  /** Files that lie beside it. */
  readonly reads?: readonly string[];
  /** What it finds in `/cmt/request.json`. */
  readonly request?: unknown;
}

/** The second disk: Node, the programs as they were built, and that of the machine. */
export async function makeProgramDisk(directory: string, program: Program): Promise<string> {
  const tree = join(directory, 'program');
  await mkdir(join(tree, 'bin'), { recursive: true });
  await copyFile(process.execPath, join(tree, 'bin/node'));
  // A lab's boot script uses this machine's; Debian has it in a package that the lab's root filesystem does without.
  await copyFile('/usr/sbin/pivot_root', join(tree, 'bin/pivot_root'));
  await cp(DIST, join(tree, 'dist'), {
    recursive: true,
    filter: (path) => !path.endsWith('.map') && !path.startsWith(join(DIST, 'board/')),
  });
  await copyFile(join(import.meta.dirname, 'init.sh'), join(tree, 'init.sh'));
  await cp(join(import.meta.dirname, '../workloads'), join(tree, 'workloads'), { recursive: true });
  for (const file of program.reads ?? []) await copyFile(file, join(tree, 'dist', basename(file)));
  await writeFile(join(tree, 'request.json'), JSON.stringify(program.request ?? null));
  for (const [name, entry] of Object.entries({ ...program.starts, program: program.entry }))
    await bundle(entry, join(tree, `dist/${name}.js`));
  const disk = join(directory, 'program.ext4');
  await makeExt4(disk, tree, '512M');
  return disk;
}

/** It appears complete. */
async function makeExt4(disk: string, tree: string, size: string): Promise<void> {
  const unfinished = `${disk}.unfinished`;
  await rm(unfinished, { force: true });
  const options = ['-q', '-F', '-m', '0', '-E', 'root_owner=0:0,lazy_itable_init=1', '-O', '^has_journal'];
  await run('mkfs.ext4', [...options, '-d', tree, unfinished, size], { timeoutMs: COPY_MS });
  await rename(unfinished, disk);
}
