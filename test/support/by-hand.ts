/**
 * A migration by nothing but runc, rsync and ip, so that a workload which CRIU itself refuses is not blamed on cmt.
 * The order is that of the plan: files, freeze, dump, files again, restore behind a gate, release, retire.
 */
import { writeFile } from 'node:fs/promises';
import { CONTAINER_BRIDGE, labExec, labRun, type Lab } from '../../apps/lab/src/main.ts';
import { bundleOf, hostLinkOf, pathInHost } from '../../apps/lab/src/demo/container.ts';

export interface HandMove {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly bridge: boolean;
  /** Runs while the restored copy is held at the gate. */
  readonly whileHeld?: () => Promise<void>;
}

const images = (id: string): string => `/run/by-hand/${id}`;
const gate = `#!/bin/sh
[ "$CRTOOLS_SCRIPT_ACTION" = post-restore ] || exit 0
touch /run/by-hand/held
while [ ! -e /run/by-hand/open ]; do sleep 0.005; done
`;

const touchMapped = `for pid in $(cat "/sys/fs/cgroup/$1/cgroup.procs"); do
  awk '$2 ~ /w.s/ && $5 != 0 {print $1}' "/proc/$pid/maps" | while read -r range; do
    touch -c "/proc/$pid/map_files/$range"
  done
done`;

/** Moves a container; whatever fails is thrown with the tool's own log. */
export async function moveByHand(lab: Lab, move: HandMove): Promise<void> {
  const { id, from, to, bridge } = move;
  const at = (host: string, ...argv: string[]): Promise<string> => labRun(lab, host, argv);
  for (const host of [from, to]) {
    await at(host, 'rm', '-rf', '/run/by-hand');
    await at(host, 'mkdir', '-p', '-m', '700', images(id));
    await writeFile(pathInHost(lab, host, '/run/by-hand/gate'), gate, { mode: 0o700 });
    await writeFile(pathInHost(lab, host, '/run/by-hand/dump.conf'), 'network-lock skip\n');
    await writeFile(
      pathInHost(lab, host, '/run/by-hand/restore.conf'),
      'network-lock skip\naction-script /run/by-hand/gate\n',
    );
  }
  await at(to, 'mkdir', '-p', bundleOf(id));
  const sync = async (path: string): Promise<void> => {
    const args = ['-aHAX', '--numeric-ids', '--delete', '--modify-window=-1', `${path}/`, `${to}:${path}/`];
    const done = await labExec(lab, from, ['rsync', ...args], { timeoutMs: 60_000 });
    // 24: files vanished on the way, as they do under a container that runs.
    if (done.code !== 0 && done.code !== 24) throw new Error(`rsync of ${path}: ${done.stderr}`);
  };
  await sync(bundleOf(id));
  if (bridge) await copyNetns(lab, move);

  if (bridge) await at(from, 'ip', 'link', 'set', hostLinkOf(id), 'nomaster');
  await at(from, 'runc', 'pause', id);
  // A write through a shared mapping leaves the file's time alone: rsync would not look at it again.
  await at(from, 'sh', '-c', touchMapped, 'sh', id);
  await dump(lab, from, id);
  await sync(images(id));
  await sync(bundleOf(id));
  const restored = restore(lab, to, id);
  await at(to, 'sh', '-c', 'while [ ! -e /run/by-hand/held ]; do sleep 0.005; done');
  await move.whileHeld?.();
  if (bridge) await at(to, 'ip', 'link', 'set', hostLinkOf(id), 'master', CONTAINER_BRIDGE, 'up');
  await at(to, 'touch', '/run/by-hand/open');
  await restored;
  if (bridge)
    await at(
      to,
      'ip',
      'netns',
      'exec',
      id,
      'arping',
      '-q',
      '-A',
      '-c',
      '1',
      '-I',
      'eth0',
      await addressOf(lab, to, id),
    );
  await at(from, 'sh', '-c', `echo 1 >/sys/fs/cgroup/${id}/cgroup.kill; runc delete --force ${id}`);
  if (bridge)
    await at(from, 'sh', '-c', `ip netns del ${id}; ip link del ${hostLinkOf(id)} 2>/dev/null; true`);
}

const dump = (lab: Lab, host: string, id: string): Promise<void> =>
  runcByHand(lab, host, 'dump', ['checkpoint', '--leave-running', ...imageFlags(id), id]);

const restore = (lab: Lab, host: string, id: string): Promise<void> =>
  runcByHand(lab, host, 'restore', ['restore', '-d', ...imageFlags(id), '--bundle', bundleOf(id), id]);

const imageFlags = (id: string): string[] => [
  ...['--tcp-established', '--file-locks'],
  ...['--image-path', images(id), '--work-path', images(id)],
];

/** What went wrong is in two logs. */
async function runcByHand(
  lab: Lab,
  host: string,
  what: 'dump' | 'restore',
  args: readonly string[],
): Promise<void> {
  const argv = ['runc', '--log', '/run/by-hand/runc.log', ...args];
  const env = { CRIU_CONFIG_FILE: `/run/by-hand/${what}.conf` };
  const done = await labExec(lab, host, argv, { timeoutMs: 30_000, env, stdio: 'ignore' });
  if (done.code === 0) return;
  const logs = `cat /run/by-hand/runc.log; grep -B3 Error /run/by-hand/*/${what}.log`;
  const { stdout } = await labExec(lab, host, ['sh', '-c', logs]);
  throw new Error(`${what} of ${args.at(-1) ?? ''} on ${host}: ${stdout}`);
}

/** The same namespace, address and neighbours on the target, joined to no bridge yet. */
export async function copyNetns(lab: Lab, { id, from, to }: HandMove): Promise<void> {
  const address = await addressOf(lab, from, id);
  const mac = await labRun(lab, from, ['ip', 'netns', 'exec', id, 'cat', '/sys/class/net/eth0/address']);
  await labRun(lab, to, [
    'sh',
    '-ec',
    `ip netns add ${id}
     ip link add ${hostLinkOf(id)} type veth peer name eth0 address ${mac} netns ${id}
     ip link set ${hostLinkOf(id)} up
     ip -n ${id} link set lo up
     ip -n ${id} addr add ${address}/24 dev eth0
     ip -n ${id} link set eth0 up
     ip -n ${id} route add default via ${lab.fabric.gateway}`,
  ]);
  const peers = await labRun(lab, from, [
    'ip',
    '-n',
    id,
    'neigh',
    'show',
    'nud',
    'reachable',
    'nud',
    'stale',
    'nud',
    'delay',
  ]);
  for (const line of peers.split('\n').filter(Boolean)) {
    const [peer = '', , , , lladdr = ''] = line.split(' ');
    await labRun(lab, to, [
      'ip',
      '-n',
      id,
      'neigh',
      'replace',
      peer,
      'lladdr',
      lladdr,
      'dev',
      'eth0',
      'nud',
      'stale',
    ]);
  }
}

async function addressOf(lab: Lab, host: string, id: string): Promise<string> {
  const text = await labRun(lab, host, ['ip', '-n', id, '-o', '-4', 'addr', 'show', 'dev', 'eth0']);
  return /inet ([\d.]+)/.exec(text)?.[1] ?? '';
}
