/**
 * The network: a bridge in a namespace of its own (the outside world, the clients, Redis), and a cable to each host.
 *
 * Inside a host the cable's end, eth0, is plugged into the bridge `cmt0`, which carries the host's address.
 * So a container's veth on cmt0 is on the same layer-2 segment as the fabric and every other host, and may keep
 * its address when it moves.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run, tryRun } from '@cmt/host';
import { inCgroup } from './cgroups.ts';
import { addressOf, hostOf, netnsOf, type Lab } from './lab.ts';

export const FABRIC_BRIDGE = 'fabric0';
/** The bridge inside every host that containers are plugged into. */
export const CONTAINER_BRIDGE = 'cmt0';
const limit = { timeoutMs: 60_000 };

/** Makes the fabric namespace with its bridge and gateway address. */
export async function makeFabric(lab: Lab): Promise<void> {
  await runInLab(lab, ['ip', 'netns', 'add', lab.fabric.netns]);
  await ipBatch(lab, lab.fabric.netns, [
    'link set lo up',
    // A bridge without a set address takes its lowest port's, and every neighbour's ARP entry goes wrong.
    `link add ${FABRIC_BRIDGE} address ${macOf(lab.index, 0)} type bridge`,
    `link set ${FABRIC_BRIDGE} up`,
    `addr add ${lab.fabric.gateway}/24 dev ${FABRIC_BRIDGE}`,
  ]);
}

/** Makes a host's network namespace and plugs its cable in; `hostNumber` counts from 1. */
export async function makeHostNetwork(lab: Lab, hostName: string, hostNumber: number): Promise<void> {
  const netns = netnsOf(lab.name, hostName);
  await runInLab(lab, ['ip', 'netns', 'add', netns]);
  await ipBatch(lab, lab.fabric.netns, [
    `link add ${cableOf(hostName)} type veth peer name eth0 netns ${netns}`,
    `link set ${cableOf(hostName)} master ${FABRIC_BRIDGE} up`,
  ]);
  await ipBatch(lab, netns, [
    'link set lo up',
    `link add ${CONTAINER_BRIDGE} address ${macOf(lab.index, hostNumber)} type bridge`,
    `link set eth0 master ${CONTAINER_BRIDGE} up`,
    `link set ${CONTAINER_BRIDGE} up`,
    `addr add ${addressOf(lab.index, hostNumber)}/24 dev ${CONTAINER_BRIDGE}`,
    `route add default via ${lab.fabric.gateway}`,
  ]);
}

/** Unplugs and removes one host's network; nothing happens when it is not there. */
export async function removeHostNetwork(lab: Lab, hostName: string): Promise<void> {
  // By hand: the kernel removes the devices of a dead namespace some time later, and the name must be free now.
  await tryRun('ip', ['-n', lab.fabric.netns, 'link', 'del', cableOf(hostName)], limit);
  await tryRun('ip', ['netns', 'del', netnsOf(lab.name, hostName)], limit);
}

/** Removes every network namespace whose name says that it belongs to this lab. */
export async function removeAllNetworks(labName: string): Promise<void> {
  for (const name of await readdir('/run/netns').catch(() => [])) {
    // Host names hold no dash, so the last one ends the lab's name: lab `a` leaves `cmt-a-b-host1` alone.
    if (name.slice(0, name.lastIndexOf('-')) === `cmt-${labName}`)
      await run('ip', ['netns', 'del', name], limit);
  }
}

/** Cuts a host and its containers off from everybody, silently, like a dead switch port: the link stays up. */
export async function cutLink(lab: Lab, hostName: string): Promise<void> {
  await run(
    'ip',
    ['-n', lab.fabric.netns, 'link', 'set', cableOf(hostOf(lab, hostName).name), 'nomaster'],
    limit,
  );
}

/** Drops all packets between a host and the gateway's addresses (Redis, clients there), but not host to host. */
export async function cutFromGateway(lab: Lab, hostName: string): Promise<void> {
  const { address } = hostOf(lab, hostName);
  const rules = `
    table ip cut_${hostName} {
      chain in { type filter hook input priority 0; ip saddr ${address} drop; }
      chain out { type filter hook output priority 0; ip daddr ${address} drop; }
    }`;
  await run('nsenter', [inFabric(lab), 'nft', '-f', '-'], { ...limit, input: rules });
}

/** Cuts hosts, and the containers on them, off from each other, but from nobody else: isolated ports of a bridge. */
export async function cutHostsApart(lab: Lab, hostNames: readonly string[]): Promise<void> {
  for (const name of hostNames) await isolate(lab, cableOf(hostOf(lab, name).name), true);
}

async function isolate(lab: Lab, cable: string, isolated: boolean): Promise<void> {
  const setting = ['type', 'bridge_slave', 'isolated', isolated ? 'on' : 'off'];
  await run('ip', ['-n', lab.fabric.netns, 'link', 'set', cable, ...setting], limit);
}

/** Undoes `cutLink`, `cutHostsApart` and `cutFromGateway`; nothing happens when none was done. */
export async function restoreLink(lab: Lab, hostName: string): Promise<void> {
  const cable = cableOf(hostOf(lab, hostName).name);
  await run('ip', ['-n', lab.fabric.netns, 'link', 'set', cable, 'master', FABRIC_BRIDGE], limit);
  await isolate(lab, cable, false);
  await tryRun('nsenter', [inFabric(lab), 'nft', 'delete', 'table', 'ip', `cut_${hostName}`], limit);
}

const inFabric = (lab: Lab): string => `--net=/run/netns/${lab.fabric.netns}`;
const cableOf = (hostName: string): string => `to-${hostName}`;
const macOf = (index: number, hostNumber: number): string =>
  ['02', '77', '00', '00', hex(index), hex(hostNumber)].join(':');
const hex = (byte: number): string => byte.toString(16).padStart(2, '0');

async function ipBatch(lab: Lab, netns: string, commands: readonly string[]): Promise<void> {
  await runInLab(lab, ['ip', '-n', netns, '-batch', '-'], `${commands.join('\n')}\n`);
}

/** In the lab's cgroup, so that a `down` after a crash of ours cannot be overtaken by what we started. */
async function runInLab(lab: Lab, argv: readonly string[], input = ''): Promise<void> {
  const [file = '', ...args] = inCgroup(join(lab.cgroup, 'fabric'), argv);
  await run(file, args, { ...limit, input });
}
