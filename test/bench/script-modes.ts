/**
 * What people do by hand, with the network cut around it so that connections have a chance, and everything that can be there before
 * already there: bundle, namespace, directories. Each script runs on the source; the time it takes is the container's.
 */
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { labExec } from '@cmt/lab';
import { bundleOf, hostLinkOf, pathInHost, removeContainer } from '../../apps/lab/src/demo/container.ts';
import { CONTAINER_BRIDGE } from '../../apps/lab/src/fabric.ts';
import { REDIS_ID as ID, redisAddress } from '../../apps/lab/src/demo/redis-container.ts';
import { readDumpStats, readRestoreStats } from '../../libs/host/src/criu/stats.ts';
import { copyNetns } from '../support/by-hand.ts';
import { runc } from './engine.ts';
import type { Mode, Moved } from './modes.ts';
import type { Site } from './site.ts';

const LIMIT_MS = 600_000;
/** In memory, as a good script has it; and where the original tool has it. */
export const [MEMORY, DISK] = ['/run/bench', '/var/tmp/bench'];

/** What scripts are told; `link` is the container's end on this host, whoever made it. */
export const LINK = `set -eu
id=$1 to=$2 images=$3 bundle=$4 there=$5 bridge=$6 address=$7
number=$(ip netns exec $id cat /sys/class/net/eth0/iflink)
link=$(ip -o link | sed -n "s/^$number: \\([^@:]*\\).*/\\1/p")
`;

export const HEAD = `${LINK}
dirs="--image-path $images --work-path $images"
flags="--tcp-established --file-locks $dirs"
`;

const RESTORE = `ip link set $there master $bridge && runc restore -d $flags --bundle $bundle $id </dev/null >/dev/null 2>&1 &&
  ip netns exec $id arping -q -A -c 1 -I eth0 $address`;

const SCRIPT = `${HEAD}
ip link set $link nomaster
runc pause $id
runc checkpoint $flags $id </dev/null >/dev/null 2>&1
tar -C $images -cf - . | ssh $to "tar -C $images -xf - && ${RESTORE}"
`;

/** No pause, a compressed archive on disk, and a new connection for every step. */
const ORIGINAL = `${HEAD}
ip link set $link nomaster
runc checkpoint $flags $id </dev/null >/dev/null 2>&1
tar -C $images -czf $images.tar.gz .
scp -q $images.tar.gz $to:$images.tar.gz
ssh $to "tar -C $images -xzf $images.tar.gz"
ssh $to "${RESTORE}"
rm -f $images.tar.gz
ssh $to "rm -f $images.tar.gz"
`;

/** CRIU and runc alone: nothing is sent, and the network lock, which nobody needs here, is left out. */
const FLOOR = `${HEAD}
printf 'network-lock skip\\n' > $images.conf
export CRIU_CONFIG_FILE=$images.conf
ip link set $link nomaster
runc pause $id
runc checkpoint $flags $id </dev/null >/dev/null 2>&1
runc restore -d $flags --bundle $bundle $id </dev/null >/dev/null 2>&1
ip link set $link master $bridge
ip netns exec $id arping -q -A -c 1 -I eth0 $address
`;

const scripted = (name: string, text: string, images: string, stays?: true): Mode => ({
  ...{ name, engine: runc },
  ...(stays ? { stays } : {}),
  unavailable: () => Promise.resolve(null),
  async prepare(site, from, to) {
    for (const host of new Set([from, to])) await freshImages(site, host, images);
    if (!stays) await prepareTarget(site, from, to);
  },
  async move(site, from, to) {
    const { lab } = site.fleet;
    await runScript(site, { name, text, from, to, images });
    const moved = await figures(site, from, to, images);
    for (const host of new Set([from, to])) await rm(pathInHost(lab, host, images), { recursive: true });
    if (!stays) await removeContainer(lab, from, ID);
    return moved;
  },
});

interface Script {
  readonly name: string;
  /** Begins with LINK; `more` are its words from the eighth on. */
  readonly text: string;
  readonly from: string;
  readonly to: string;
  readonly images: string;
  readonly more?: readonly string[];
}

/** Runs it on the source. @returns what it printed */
export async function runScript(
  { fleet: { lab } }: Site,
  { name, text, from, to, images, more = [] }: Script,
): Promise<string> {
  const words = [ID, to, images, bundleOf(ID), hostLinkOf(ID), CONTAINER_BRIDGE, redisAddress(lab), ...more];
  const argv = ['sh', '-c', text, 'sh', ...words];
  const { code, stdout, stderr } = await labExec(lab, from, argv, { timeoutMs: LIMIT_MS });
  if (code !== 0) throw new Error(`${name}: ${stderr.trim().slice(-500)}`);
  return stdout;
}

/** The floor ends where it began. */
export const floor = scripted('CRIU alone', FLOOR, MEMORY, true);
export const script = scripted('script', SCRIPT, MEMORY);
export const original = scripted('original tool', ORIGINAL, DISK);

export async function freshImages({ fleet: { lab } }: Site, host: string, images: string): Promise<void> {
  const path = pathInHost(lab, host, images);
  await rm(path, { recursive: true, force: true });
  await mkdir(path, { recursive: true, mode: 0o700 });
}

export async function prepareTarget({ fleet: { lab } }: Site, from: string, to: string): Promise<void> {
  await removeContainer(lab, to, ID);
  const bundle = bundleOf(ID);
  const argv = ['rsync', '-aHAX', '--numeric-ids', '--mkpath', `${bundle}/`, `${to}:${bundle}/`];
  const { code, stderr } = await labExec(lab, from, argv, { timeoutMs: LIMIT_MS });
  if (code !== 0 && code !== 24) throw new Error(`rsync: ${stderr}`);
  await copyNetns(lab, { id: ID, from, to, bridge: true });
}

/** CRIU wrote how long it took; the images are what it wrote besides. */
async function figures({ fleet: { lab } }: Site, from: string, to: string, images: string): Promise<Moved> {
  const [source, target] = [from, to].map((host) => pathInHost(lab, host, images)) as [string, string];
  const dump = await readDumpStats(source);
  const restore = await readRestoreStats(target);
  const names = (await readdir(source)).filter((name) => name.endsWith('.img'));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(source, name))).size));
  return {
    imageBytes: sizes.reduce((sum, size) => sum + size, 0),
    criuMs: dump.freezingMs + dump.frozenMs + restore.restoreMs,
    ownMs: null,
    drainMs: null,
  };
}
