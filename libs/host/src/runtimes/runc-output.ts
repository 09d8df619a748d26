/**
 * What runc prints, checked: `runc list -f json`, `runc state`, `runc ps -f json` (man 8 runc-list, runc-state, runc-ps), and
 * the state.json it keeps (libcontainer, State).
 */
import { ContainerId, type ContainerSummary } from '@cmt/contracts';
import { z } from 'zod';
import type { ContainerState } from './runtime.ts';

/** `pausing` is on the way to paused: processes may still run. */
const Status = z
  .enum(['created', 'running', 'pausing', 'paused', 'stopped'])
  .transform((status) => (status === 'pausing' ? 'running' : status));

const State = z.object({
  id: ContainerId,
  pid: z.int().min(0),
  status: Status,
  bundle: z.string(),
  rootfs: z.string(),
});

/** A container whose id is longer than cmt allows cannot be moved, and is left out. `null` is runc's empty list. */
const List = z
  .array(z.object({ id: z.string(), pid: z.int().min(0), status: z.string(), bundle: z.string() }))
  .nullable();

export function parseState(stdout: string): Omit<ContainerState, 'cgroup'> {
  return State.parse(JSON.parse(stdout));
}

export function parseList(stdout: string): ContainerSummary[] {
  const containers = List.parse(JSON.parse(stdout)) ?? [];
  return containers
    .filter(({ id }) => ContainerId.safeParse(id).success)
    .map(({ id, pid, status, bundle }) => ({ id, pid, status, bundle, runtime: 'runc' }));
}

export const parsePids = (stdout: string): number[] =>
  z.array(z.int().positive()).nullable().parse(JSON.parse(stdout)) ?? [];

/** `runc version 1.3.6+ds1` and further lines. */
export const parseVersion = (stdout: string): string | null =>
  /^runc version (\S+)/m.exec(stdout)?.[1] ?? null;

/** The cgroup2 directory that runc has made for the container, or null: on cgroup v1 there is one for each controller. */
export function parseCgroup(stateFile: string): string | null {
  return (
    z.object({ cgroup_paths: z.object({ '': z.string().optional() }) }).parse(JSON.parse(stateFile))
      .cgroup_paths[''] ?? null
  );
}
