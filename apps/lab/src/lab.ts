/**
 * What a lab is, and the names of everything it makes on the machine.
 *
 * INVARIANT: every name follows from the lab's name alone, so that `down` finds what a crashed `up` left behind
 * without having to trust a state file.
 */
import { join } from 'node:path';
import { LabError } from './lab-error.ts';

export interface LabOptions {
  /** Lower-case letters, digits and dashes. Default `lab`. */
  readonly name?: string;
  /** How many hosts (named host1, host2 ...) or their names. Default 2. */
  readonly hosts?: number | readonly string[];
  /** Disks, keys, logs and state of this lab: made 0700, removed by `down`. Default `/var/lib/cmt/lab/<name>`. */
  readonly stateDir?: string;
  /** Where root filesystems are kept for every lab to come. Default `/var/cache/cmt`. */
  readonly cacheDir?: string;
  /** Directories of the machine seen read-only, under the same path, inside every host. Node itself always is. */
  readonly share?: readonly string[];
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** A process known by more than its pid, which the kernel hands out again. */
export interface ProcessId {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly startTime: string;
}

export interface LabHost {
  readonly name: string;
  readonly address: string;
  /** PID 1 of the host as the machine sees it; absent until the host has booted. */
  readonly init?: ProcessId;
  /** On the machine: `upper` (the disk), `log` (in the host: /var/log/cmt). */
  readonly dir: string;
}

export interface Lab {
  readonly version: 1;
  readonly name: string;
  readonly stateDir: string;
  /** The lower layer of every host's disk. Never write there. */
  readonly rootfs: string;
  readonly share: readonly string[];
  /** Directory of the cgroup that holds every process of the lab: `<host>` below it, and `fabric`. */
  readonly cgroup: string;
  /** Second-last byte of the lab's addresses, 10.77.<index>.0/24. */
  readonly index: number;
  readonly hosts: readonly LabHost[];
  /** The outside world: a network namespace with the bridge all hosts are plugged into. */
  readonly fabric: { readonly netns: string; readonly bridge: string; readonly gateway: string };
  /** Opens root@ every host, from the machine and from the other hosts. */
  readonly sshKeyFile: string;
  readonly knownHostsFile: string;
  /** False while `up` is at work, and after it crashed. */
  readonly ready: boolean;
}

export const DEFAULT_STATE_ROOT = '/var/lib/cmt/lab';
export const DEFAULT_CACHE_DIR = '/var/cache/cmt';

/** @throws {LabError} when the name could not be part of a directory, cgroup and network namespace name. */
export function checkedLabName(name: string): string {
  if (/^[a-z][a-z0-9-]{0,31}$/.test(name)) return name;
  throw new LabError(`'${name}' is no name for a lab: a letter, then lower-case letters, digits and dashes`);
}

/** Host names from a count or a list. No dash in them: `cmt-<lab>-<host>` must have one reading. */
export function hostNames(hosts: number | readonly string[]): readonly string[] {
  const names = typeof hosts === 'number' ? Array.from({ length: hosts }, (_, n) => `host${n + 1}`) : hosts;
  const bad = names.find(
    (name) => !/^[a-z][a-z0-9]{0,11}$/.test(name) || name === 'fabric' || name === 'gateway',
  );
  if (bad !== undefined) throw new LabError(`'${bad}' is no name for a host: at most 12 letters and digits`);
  if (names.length < 1 || names.length > 80) throw new LabError('a lab has 1 to 80 hosts');
  if (new Set(names).size !== names.length) throw new LabError('two hosts have the same name');
  return names;
}

export const netnsOf = (lab: string, part: string): string => `cmt-${lab}-${part}`;
export const addressOf = (index: number, hostNumber: number): string => `10.77.${index}.${hostNumber + 10}`;
export const stateDirOf = (options: LabOptions): string =>
  options.stateDir ?? join(DEFAULT_STATE_ROOT, checkedLabName(options.name ?? 'lab'));

/** @throws {LabError} when the lab has no such host. */
export function hostOf(lab: Lab, name: string): LabHost {
  const host = lab.hosts.find((candidate) => candidate.name === name);
  if (host) return host;
  throw new LabError(`lab ${lab.name} has no host ${name}, only ${lab.hosts.map((h) => h.name).join(', ')}`);
}
