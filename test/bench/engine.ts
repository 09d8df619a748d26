/** Who holds the container that is moved. The container is the same; each engine starts and removes it in its own way. */
import { join } from 'node:path';
import { labRun, type Lab } from '@cmt/lab';
import {
  bundleOf,
  makeBundle,
  makeNetns,
  pathInHost,
  removeContainer,
  startContainer,
  type ContainerSpec,
} from '../../apps/lab/src/demo/container.ts';
import { netnsPath } from '../../apps/lab/src/demo/bundle-config.ts';

export interface Engine {
  readonly name: string;
  start(lab: Lab, host: string, spec: ContainerSpec): Promise<void>;
  /** Nothing happens where it is not there. */
  remove(lab: Lab, host: string, id: string): Promise<void>;
  /** Where this machine sees a path of the container that runs on a host. */
  seen(lab: Lab, host: string, id: string, path: string): Promise<string>;
}

export const runc: Engine = {
  name: 'runc',
  start: startContainer,
  remove: removeContainer,
  seen: (lab, host, id, path) => Promise.resolve(pathInHost(lab, host, join(bundleOf(id), 'rootfs', path))),
};

const LIMIT = { timeoutMs: 600_000 };
const IMAGE = 'localhost/moved';
/** podman mounts an overlay, which cannot lie upon the overlay that a lab host is; and Debian's crun comes without the library that it calls CRIU by. */
const SET_UP = `storage=/var/lib/containers
mountpoint -q $storage || { mkdir -p $storage && mount -t tmpfs tmpfs $storage; }
mkdir -p /etc/containers
printf '[engine]\nruntime = "runc"\n' >/etc/containers/containers.conf
`;

/** The image is the same on all hosts, as if it had come from a registry. */
export const podman: Engine = {
  name: 'podman',
  async start(lab, host, spec) {
    if (spec.net.kind !== 'bridge') throw new Error('podman: the container wants a network of its own');
    await makeBundle(lab, host, spec);
    await makeNetns(lab, host, spec.id, spec.net.address);
    const rootfs = join(bundleOf(spec.id), 'rootfs');
    await sh(
      lab,
      host,
      `podman image exists ${IMAGE} || tar -C ${rootfs} -c . | podman import -q - ${IMAGE}`,
    );
    for (const { name } of lab.hosts.filter((other) => other.name !== host))
      await sh(lab, host, `podman save ${IMAGE} 2>/dev/null | ssh ${name} podman load -q`);
    const flags = ['-d', '--log-driver', 'none', '--network', `ns:${netnsPath(spec.id)}`, '--name', spec.id];
    await labRun(lab, host, ['podman', 'run', ...flags, IMAGE, ...spec.argv], LIMIT);
  },
  async remove(lab, host, id) {
    await sh(lab, host, `podman rm --force --time 0 ${id}`);
    await removeContainer(lab, host, id);
  },
  async seen(lab, host, id, path) {
    const pid = await labRun(lab, host, ['podman', 'inspect', '--format', '{{.State.Pid}}', id], LIMIT);
    return pathInHost(lab, host, join('/proc', pid.trim(), 'root', path));
  },
};

const sh = (lab: Lab, host: string, script: string): Promise<string> =>
  labRun(lab, host, ['bash', '-euo', 'pipefail', '-c', SET_UP + script], LIMIT);
