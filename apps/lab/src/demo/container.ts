/** Containers on a lab host: their bundle, their network, their start and their end. All by runc and ip, none by cmt. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { labExec, labRun } from '../exec.ts';
import { CONTAINER_BRIDGE } from '../fabric.ts';
import { hostOf, type Lab } from '../lab.ts';
import { LabError } from '../lab-error.ts';
import { bundleConfig, netnsPath, type Process } from './bundle-config.ts';

export interface ContainerSpec extends Process {
  /** Programs of the lab's root filesystem to put into the container's, with every library they need. */
  readonly programs: readonly string[];
  /** Directories to put there as they are. */
  readonly trees?: readonly string[];
  /** Further files: path inside the container, text. */
  readonly files?: Readonly<Record<string, string>>;
}

const BUNDLES = '/srv/containers';

/** A container's bundle, as its host sees it. */
export const bundleOf = (id: string): string => join(BUNDLES, id);
/** The name of the veth's end on the host: at most 15 characters. */
export const hostLinkOf = (id: string): string => `v${id}`.slice(0, 15);
/** A path inside a host as the machine sees it, mounts of the host included. */
export const pathInHost = (lab: Lab, host: string, path: string): string => {
  const { init, name } = hostOf(lab, host);
  if (!init) throw new LabError(`${name} of lab ${lab.name} is not up`);
  return join(`/proc/${init.pid}/root`, path);
};

/** Copies each program and, by ldd, its libraries; paths are resolved first, so /lib and /usr/lib stay one directory. */
const fillRootfs = `set -eu
umask 022
root=$1/rootfs trees=$2
shift 2
mkdir -p "$root"
cd "$root"
# runc cannot start a container whose /dev it has filled before.
rm -rf dev
mkdir -p usr/bin usr/sbin usr/lib usr/lib64 proc sys dev run tmp etc root data
chmod 1777 tmp
for link in bin sbin lib lib64; do ln -sfn "usr/$link" "$link"; done
put() { dir=$(realpath "$(dirname "$1")"); mkdir -p "$root$dir"; cp -L "$1" "$root$dir/"; }
for program; do
  put "$program"
  for library in $(ldd "$program" | grep -o '/[^ ]*' || true); do put "$library"; done
done
for tree in $trees; do mkdir -p "$root$(dirname "$tree")"; cp -a "$tree" "$root$tree"; done
`;

/** Makes the bundle of a container on a host: a real directory, small enough to be carried. */
export async function makeBundle(lab: Lab, host: string, spec: ContainerSpec): Promise<void> {
  const bundle = bundleOf(spec.id);
  const args = [bundle, (spec.trees ?? []).join(' '), ...spec.programs];
  await labRun(lab, host, ['sh', '-c', fillRootfs, 'sh', ...args]);
  const files = Object.entries(spec.files ?? {}).map(([path, text]) => [join('rootfs', path), text] as const);
  for (const [path, text] of [...files, ['config.json', JSON.stringify(bundleConfig(spec))] as const]) {
    const outside = pathInHost(lab, host, join(bundle, path));
    await mkdir(dirname(outside), { recursive: true });
    await writeFile(outside, text);
  }
}

/** Makes the bundle and the network of a container and starts it. */
export async function startContainer(lab: Lab, host: string, spec: ContainerSpec): Promise<void> {
  await makeBundle(lab, host, spec);
  if (spec.net.kind === 'bridge') await makeNetns(lab, host, spec.id, spec.net.address);
  // runc itself reopens /dev/null inside; any other stream from outside could not be dumped.
  const started = await labExec(
    lab,
    host,
    ['runc', '--log', '/run/runc.log', 'run', '-d', '--bundle', bundleOf(spec.id), spec.id],
    {
      timeoutMs: 60_000,
      stdio: 'ignore',
    },
  );
  if (started.code === 0) return;
  const log = await labExec(lab, host, ['tail', '-n', '3', '/run/runc.log']);
  throw new LabError(`${spec.id} did not start on ${host}: ${log.stdout}`);
}

/** Kills a container and removes its network and bundle; nothing happens when it is not there. */
export async function removeContainer(lab: Lab, host: string, id: string): Promise<void> {
  await labExec(lab, host, ['runc', 'delete', '--force', id]);
  await labExec(lab, host, ['ip', 'link', 'del', hostLinkOf(id)]);
  await labExec(lab, host, ['ip', 'netns', 'del', id]);
  await labRun(lab, host, ['rm', '-rf', '--one-file-system', bundleOf(id)]);
}

/** A network namespace of the container's name, with an address on the segment of all hosts. */
export async function makeNetns(lab: Lab, host: string, id: string, address: string): Promise<void> {
  const last = Number(address.split('.')[3]);
  const mac = `02:77:01:00:${hex(lab.index)}:${hex(last)}`;
  const link = hostLinkOf(id);
  const commands = [
    `netns add ${id}`,
    `link add ${link} type veth peer name eth0 address ${mac} netns ${id}`,
    `link set ${link} master ${CONTAINER_BRIDGE} up`,
  ];
  await labRun(lab, host, ['ip', '-batch', '-'], batch(commands));
  const inside = [
    'link set lo up',
    `addr add ${address}/24 dev eth0`,
    'link set eth0 up',
    `route add default via ${lab.fabric.gateway}`,
  ];
  await labRun(lab, host, ['ip', '-n', id, '-batch', '-'], batch(inside));
}

const batch = (lines: readonly string[]) => ({ timeoutMs: 60_000, input: `${lines.join('\n')}\n` });
const hex = (byte: number): string => byte.toString(16).padStart(2, '0');
/** Path of a container's network namespace on its host. */
export { netnsPath };
