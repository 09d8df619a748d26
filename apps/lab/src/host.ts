/** Booting, killing and rebooting one host. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { start } from '@cmt/host';
import { bootScript } from './boot-script.ts';
import { inCgroup, killCgroup, makeCgroup } from './cgroups.ts';
import { makeHostNetwork, removeHostNetwork } from './fabric.ts';
import { hostOf, netnsOf, type Lab, type LabHost } from './lab.ts';
import { LabError } from './lab-error.ts';
import { withMachineLock } from './machine-lock.ts';
import { childrenOf, identify } from './processes.ts';
import { readLab, writeLab } from './state.ts';

/** Boots a host whose disk is filled; when this returns its sshd answers. @throws {LabError} with the boot log. */
export async function bootHost(lab: Lab, host: LabHost): Promise<LabHost> {
  const cgroup = join(lab.cgroup, host.name);
  await makeCgroup(cgroup);
  await makeHostNetwork(lab, host.name, lab.hosts.findIndex(({ name }) => name === host.name) + 1);
  const monitor = await launch(lab, host, cgroup);
  const [init] = childrenOf(monitor);
  const id = init === undefined ? undefined : identify(init);
  if (!id) throw await bootFailure(host);
  await writeFile(join(cgroup, 'system/cgroup.procs'), `${monitor}`);
  return { ...host, init: id };
}

/** Pulls the plug: everything in the host dies at once, its network is unplugged. Its disk stays. */
export async function killHost(lab: Lab, host: LabHost): Promise<void> {
  await killCgroup(join(lab.cgroup, host.name));
  await removeHostNetwork(lab, host.name);
}

/** A power cut and a new start: processes, tmpfs, containers and firewall are gone, the disk and keys are kept. */
export async function rebootHost(lab: Lab, hostName: string): Promise<Lab> {
  return withMachineLock(`lab/${lab.name}`, async () => {
    const current = (await readLab(lab.stateDir)) ?? lab;
    const host = hostOf(current, hostName);
    await killHost(current, host);
    const booted = await bootHost(current, host);
    return writeLab({
      ...current,
      hosts: current.hosts.map((other) => (other.name === hostName ? booted : other)),
    });
  });
}

/** @returns the pid of the `unshare` that made the namespaces and waits for PID 1 in them. */
async function launch(lab: Lab, host: LabHost, cgroup: string): Promise<number> {
  const withLog = ['sh', '-c', 'exec 2>>"$1" && shift && exec "$@"', 'sh', bootLog(host)];
  const netns = ['nsenter', `--net=/run/netns/${netnsOf(lab.name, host.name)}`];
  const unshare = ['unshare', '-m', '-p', '-u', '-i', '-C', '--fork', '--kill-child'];
  const boot = ['bash', '-c', bootScript, 'init', host.dir, lab.rootfs, host.name, ...lab.share];
  // In its cgroup before `unshare -C`, or all hosts would see one and the same tree of cgroups.
  const [file = '', ...args] = inCgroup(cgroup, [...withLog, ...netns, ...unshare, ...boot]);
  const child = start(file, args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ready = child.stdout ? await firstLine(child.stdout) : undefined;
  // `unshare` holds the other end for as long as the host is up; our process must be free to end.
  child.stdout?.destroy();
  child.unref();
  if (ready !== 'ready' || child.pid === undefined) throw await bootFailure(host);
  return child.pid;
}

const bootLog = (host: LabHost): string => join(host.dir, 'log/boot.log');

/** @returns undefined when the stream ends without one. */
async function firstLine(stream: NodeJS.ReadableStream): Promise<string | undefined> {
  for await (const line of createInterface({ input: stream })) return line;
  return undefined;
}

async function bootFailure(host: LabHost): Promise<LabError> {
  const log = await readFile(bootLog(host), 'utf8').catch(() => '');
  return new LabError(`${host.name} did not boot: ${log.trim().split('\n').slice(-3).join(' | ')}`);
}
