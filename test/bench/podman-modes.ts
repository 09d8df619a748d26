/**
 * What podman offers by itself: an archive of the checkpoint, carried over ssh; with a round before it where the kernel tracks dirty pages.
 * As with the script, the network is cut around it, and all that can be there before is there: image, network, directories.
 */
import { labExec } from '@cmt/lab';
import { REDIS_ID as ID } from '../../apps/lab/src/demo/redis-container.ts';
import { copyNetns } from '../support/by-hand.ts';
import { podman } from './engine.ts';
import { whatLacks, type Feature } from './features.ts';
import type { Mode } from './modes.ts';
import { freshImages, LINK, MEMORY, runScript } from './script-modes.ts';

const HEAD = `${LINK}
flags="--tcp-established --file-locks"
archive="--compress none --export $images/last.tar"
carry() { ssh $to "cat >$images/$1.tar" <$images/$1.tar; }
`;

/** The bridge comes last: what the client sends again before the sockets are back would be answered with a reset, and podman takes its time. */
const TAIL = `carry last
ssh $to "podman container restore $flags $previous --import $images/last.tar >/dev/null &&
  ip link set $there master $bridge && ip netns exec $id arping -q -A -c 1 -I eth0 $address"
podman rm --force $id >/dev/null
`;

const EXPORT = `${HEAD}
previous=
ip link set $link nomaster
podman container checkpoint $flags $archive $id >/dev/null
${TAIL}`;

const PRE_CHECKPOINT = `${HEAD}
previous="--import-previous $images/first.tar"
podman container checkpoint --pre-checkpoint --tcp-established --compress none --export $images/first.tar $id >/dev/null
carry first
ip link set $link nomaster
podman container checkpoint --with-previous $flags $archive $id >/dev/null
${TAIL}`;

const byPodman = (name: string, text: string, needs?: Feature): Mode => ({
  ...{ name, engine: podman },
  async unavailable({ fleet: { lab } }) {
    const host = lab.hosts[0]?.name ?? '';
    // podman starts no container without it.
    const hasPids = ['grep', '-qw', 'pids', '/sys/fs/cgroup/cgroup.controllers'];
    if ((await labExec(lab, host, hasPids)).code !== 0) return 'cgroup2 has no pids controller here';
    return needs === undefined ? null : whatLacks(lab, needs);
  },
  async prepare(site, from, to) {
    for (const host of [from, to]) await freshImages(site, host, MEMORY);
    await podman.remove(site.fleet.lab, to, ID);
    await copyNetns(site.fleet.lab, { id: ID, from, to, bridge: true });
  },
  async move(site, from, to) {
    await runScript(site, { name, text, from, to, images: MEMORY });
    for (const host of [from, to]) await freshImages(site, host, MEMORY);
    await podman.remove(site.fleet.lab, from, ID);
    return { imageBytes: null, criuMs: null, ownMs: null, drainMs: null };
  },
});

export const podmanExport = byPodman('podman', EXPORT);
export const podmanPreCheckpoint = byPodman('podman pre-checkpoint', PRE_CHECKPOINT, 'mem_dirty_track');
