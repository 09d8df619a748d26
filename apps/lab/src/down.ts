/** `cmt lab down`: nothing of a lab is left, however it came to be there. */
import { rmdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { killCgroup, labCgroup } from './cgroups.ts';
import { removeAllNetworks } from './fabric.ts';
import { checkedLabName, stateDirOf, type LabOptions } from './lab.ts';
import { LabError } from './lab-error.ts';
import { withMachineLock } from './machine-lock.ts';
import { readLab, removeState, writeLab } from './state.ts';

/**
 * Kills everything in a lab and removes its networks, cgroups, disks and keys, also after a crash of `up` at any
 * point, and also when there is nothing. The cached root filesystem stays.
 * @throws {LabError} when something survives SIGKILL, or is mounted below the state directory.
 */
export async function labDown(options: Pick<LabOptions, 'name' | 'stateDir' | 'signal'> = {}): Promise<void> {
  const name = checkedLabName(options.name ?? 'lab');
  const stateDir = resolve(stateDirOf(options));
  const work = async (): Promise<void> => {
    const found = await readLab(stateDir);
    if (found && found.name !== name)
      throw new LabError(`${stateDir} belongs to lab ${found.name}, not ${name}`);
    // Half-removed disks must not be booted from, should we not get to the end of this.
    if (found) await writeLab({ ...found, ready: false });
    await stopLab(name);
    await removeState(stateDir);
  };
  await withMachineLock(`lab/${name}`, work, { signal: options.signal });
}

/** Kills and unplugs a lab by its name alone; its disks stay. The caller holds the lab's lock. */
export async function stopLab(name: string): Promise<void> {
  const cgroup = await labCgroup(name);
  await killCgroup(cgroup);
  await removeAllNetworks(name);
  // The common parent goes with the last lab.
  await rmdir(dirname(cgroup)).catch(() => undefined);
}
