/** `cmt lab up`: from nothing, from the leftovers of a crash, or from a lab that is already up. */
import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isPopulated, labCgroup, makeCgroup } from './cgroups.ts';
import { fillDisk, makeKeys } from './disk.ts';
import { stopLab } from './down.ts';
import { FABRIC_BRIDGE, makeFabric } from './fabric.ts';
import { bootHost } from './host.ts';
import {
  DEFAULT_CACHE_DIR,
  addressOf,
  checkedLabName,
  hostNames,
  netnsOf,
  stateDirOf,
  type Lab,
  type LabOptions,
} from './lab.ts';
import { LabError } from './lab-error.ts';
import { withMachineLock } from './machine-lock.ts';
import { isAlive } from './processes.ts';
import { checkMachine } from './requirements.ts';
import { ensureRootfs } from './rootfs.ts';
import { labLs, readLab, removeState, writeLab } from './state.ts';

const quiet = (): void => undefined;

/**
 * Brings a lab up and returns it once every host's sshd answers. A lab that is up already is returned as it is;
 * one whose hosts died (the machine was rebooted) is booted again from its disks; leftovers of a crashed `up` are
 * removed first. On failure or abort nothing is left.
 * @throws {LabError} when the machine lacks something, or a lab of this name with another state directory is up.
 */
export async function labUp(options: LabOptions = {}): Promise<Lab> {
  const name = checkedLabName(options.name ?? 'lab');
  const onProgress = options.onProgress ?? quiet;
  const { signal } = options;
  await checkMachine();
  const rootfs = await ensureRootfs({
    cacheDir: resolve(options.cacheDir ?? DEFAULT_CACHE_DIR),
    onProgress,
    signal,
  });
  const onWait = (): void => onProgress(`another cmt is at work on lab ${name}: waiting for it`);
  return withMachineLock(`lab/${name}`, () => upLocked(name, rootfs, options), { signal, onWait });
}

async function upLocked(name: string, rootfs: string, options: LabOptions): Promise<Lab> {
  const found = await readLab(resolve(stateDirOf(options)));
  if (found && found.name !== name) throw new LabError(`${found.stateDir} belongs to lab ${found.name}`);
  if (!found && (await isPopulated(await labCgroup(name)))) {
    throw new LabError(
      `a lab ${name} with another state directory is up: use another name, or take that one down`,
    );
  }
  if (!found) await refuseStrangersDirectory(stateDirOf(options));
  if (found?.ready) {
    refuseOtherShape(found, options);
    if (found.hosts.every(({ init }) => init && isAlive(init))) return found;
    options.onProgress?.('hosts of this lab are gone: booting them again from their disks');
    return bootOrStop(found, options);
  }
  if (found) {
    options.onProgress?.('removing what an earlier `up` left half-made');
    await stopLab(name);
    await removeState(found.stateDir);
  }
  // The lock keeps two labs that come up at once from taking the same addresses.
  const planned = await withMachineLock('index', async () => writeLab(await plan(name, rootfs, options)));
  return makeAndBoot(planned, options);
}

async function makeAndBoot(planned: Lab, options: LabOptions): Promise<Lab> {
  try {
    await mkdir(join(planned.stateDir, 'ssh'), { mode: 0o700 });
    options.onProgress?.('making keys and disks');
    await makeKeys(planned);
    await Promise.all(planned.hosts.map((host) => fillDisk(planned, host)));
    return await bootOrStop(planned, options);
  } catch (error) {
    await removeState(planned.stateDir);
    throw error;
  }
}

async function bootOrStop(lab: Lab, options: LabOptions): Promise<Lab> {
  await stopLab(lab.name);
  try {
    return await bootAll(lab, options);
  } catch (error) {
    await stopLab(lab.name);
    throw error;
  }
}

async function bootAll(lab: Lab, { onProgress = quiet, signal }: LabOptions): Promise<Lab> {
  signal?.throwIfAborted();
  onProgress(`making network ${lab.fabric.gateway}/24`);
  await makeCgroup(join(lab.cgroup, 'fabric'));
  await makeFabric(lab);
  signal?.throwIfAborted();
  const booted = await Promise.allSettled(lab.hosts.map((host) => bootHost(lab, host)));
  const hosts = booted.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    onProgress(`${result.value.name} is up at ${result.value.address}`);
    return result.value;
  });
  signal?.throwIfAborted();
  return writeLab({ ...lab, hosts, ready: true });
}

async function plan(name: string, rootfs: string, options: LabOptions): Promise<Lab> {
  const stateDir = resolve(stateDirOf(options));
  if (/[,:\\\s]/.test(stateDir))
    throw new LabError(`overlay mounts cannot name ${stateDir}: choose another --state`);
  const index = await freeIndex(dirname(stateDir));
  const hosts = hostNames(options.hosts ?? 2).map((host, n) => ({
    name: host,
    address: addressOf(index, n + 1),
    dir: join(stateDir, 'hosts', host),
  }));
  return {
    ...{ version: 1, name, stateDir, rootfs, index, hosts, ready: false },
    cgroup: await labCgroup(name),
    share: [...new Set([process.execPath, ...(options.share ?? []).map((path) => resolve(path))])],
    fabric: { netns: netnsOf(name, 'fabric'), bridge: FABRIC_BRIDGE, gateway: `10.77.${index}.1` },
    sshKeyFile: join(stateDir, 'ssh/id_ed25519'),
    knownHostsFile: join(stateDir, 'ssh/known_hosts'),
  };
}

async function freeIndex(stateRoot: string): Promise<number> {
  const taken = new Set((await labLs(stateRoot)).map(({ index }) => index));
  const free = Array.from({ length: 256 }, (_, index) => index).find((index) => !taken.has(index));
  if (free === undefined) throw new LabError('256 labs are up: no addresses are left');
  return free;
}

function refuseOtherShape(found: Lab, options: LabOptions): void {
  if (options.hosts === undefined) return;
  const [wanted, there] = [hostNames(options.hosts), found.hosts.map(({ name }) => name)].map((names) =>
    names.join(', '),
  );
  if (wanted !== there)
    throw new LabError(`lab ${found.name} is there with ${there ?? ''}: take it down first`);
}

async function refuseStrangersDirectory(stateDir: string): Promise<void> {
  const strangers = (await readdir(stateDir).catch(() => [])).filter((file) => file !== 'lab.json.new');
  if (strangers.length > 0) throw new LabError(`${stateDir} is not empty: choose another state directory`);
}
