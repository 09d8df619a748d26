/** The root filesystem all hosts share as their lower layer: built once, kept outside the checkout. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tryRun } from '@cmt/host';
import { LabError } from './lab-error.ts';
import { withMachineLock } from './machine-lock.ts';
import { removeTree } from './mounts.ts';
import { BUILDER, requirePrograms } from './requirements.ts';

const recipe = {
  /** Debian testing: the first with a criu that works on kernels from 6.16 on. */
  suite: 'forky',
  /** An older debootstrap has no script of the suite's name; every later suite uses this one. */
  script: 'sid',
  packages: [
    ...['criu', 'runc', 'crun', 'iptables', 'nftables', 'iproute2', 'iputils-arping', 'iputils-ping'],
    ...['openssh-server', 'openssh-client', 'rsync', 'redis-server', 'socat', 'iperf3', 'netcat-openbsd'],
    ...['procps', 'kmod', 'zstd', 'jq', 'python3-minimal', 'ca-certificates', 'podman', 'netavark'],
  ],
  /** Directories whose files (that begin so) go: what no host needs, and keys every host must make for itself. */
  emptied: [
    ['var/cache/apt/archives', ''],
    ['var/lib/apt/lists', ''],
    ['etc/ssh', 'ssh_host_'],
  ],
};

interface BuildOptions {
  readonly cacheDir: string;
  readonly onProgress: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Directory of the complete root filesystem; builds it (a minute, network needed) when it is not there yet. */
export async function ensureRootfs(options: BuildOptions): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 12);
  const rootfs = join(options.cacheDir, `lab-rootfs-${hash}`);
  if (existsSync(rootfs)) return rootfs;
  const waiting = () => options.onProgress('another cmt is building the root filesystem: waiting for it');
  return withMachineLock(
    `rootfs/${rootfs}`,
    async () => {
      if (!existsSync(rootfs)) await build(rootfs, options);
      return rootfs;
    },
    { signal: options.signal, onWait: waiting },
  );
}

async function build(rootfs: string, { onProgress, signal }: Omit<BuildOptions, 'cacheDir'>): Promise<void> {
  await requirePrograms(BUILDER);
  const unfinished = `${rootfs}.unfinished`;
  const mirror = process.env['CMT_DEBIAN_MIRROR'] ?? 'http://deb.debian.org/debian';
  await removeTree(unfinished);
  await mkdir(unfinished, { recursive: true });
  // cmt's own umask must not close the root directory to a host's unprivileged daemons.
  await chmod(unfinished, 0o755);
  onProgress(`building a root filesystem of Debian ${recipe.suite} from ${mirror}, once; about a minute`);
  await debootstrap(unfinished, mirror, signal);
  for (const [dir = '', prefix = ''] of recipe.emptied) await emptyOut(join(unfinished, dir), prefix);
  await rename(unfinished, rootfs);
}

/** In namespaces of its own: whatever a package starts or mounts ends with debootstrap, and that ends with us. */
async function debootstrap(target: string, mirror: string, signal?: AbortSignal): Promise<void> {
  const packages = `--include=${recipe.packages.join(',')}`;
  const args = [
    ...['--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'],
    ...['sh', '-c', 'umask 022; exec debootstrap "$@"', 'sh'],
    ...['--variant=minbase', packages, recipe.suite, target, mirror, recipe.script],
  ];
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const limits = { timeoutMs: 15 * 60_000, ...(signal === undefined ? {} : { signal }) };
  const { code, stdout, stderr, timedOut } = await tryRun('setpriv', args, { ...limits, env });
  signal?.throwIfAborted();
  if (code === 0) return;
  const said = timedOut
    ? 'took more than 15 minutes'
    : `${stdout}\n${stderr}`.trim().split('\n').slice(-3).join(' | ');
  throw new LabError(`no root filesystem from ${mirror} (CMT_DEBIAN_MIRROR names another mirror): ${said}`);
}

async function emptyOut(dir: string, prefix: string): Promise<void> {
  const names = (await readdir(dir)).filter((name) => name.startsWith(prefix));
  for (const name of names) await rm(join(dir, name), { recursive: true });
}
