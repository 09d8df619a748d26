/**
 * The live scan: everything in a running container that CRIU would refuse or lose, each with process, file, reason and
 * remedy, before anything is touched. A look, not a promise: the container goes on opening files.
 */
import type { Finding, HostName, TcpPolicy } from '@cmt/contracts';
import type { ContainerState } from '../runtimes/runtime.ts';
import { hasSeccompListener, type BundleConfig } from './bundle-config.ts';
import { checks } from './checks/index.ts';
import { containerPids } from './container-processes.ts';
import { readSnapshot } from './read-snapshot.ts';
import type { Snapshot } from './snapshot.ts';

export interface ScanRequest {
  readonly host: HostName;
  readonly state: Pick<ContainerState, 'pid' | 'cgroup'>;
  readonly config: BundleConfig;
  readonly tcp: TcpPolicy;
  /** Version of criu on this host, or null. */
  readonly criu: string | null;
}

/** Reads the container's processes. Changes nothing. */
export async function takeSnapshot(request: ScanRequest, signal: AbortSignal): Promise<Snapshot> {
  const { host, state, config, tcp, criu } = request;
  const circumstances = {
    ...{ tcp, criu },
    terminal: config.process?.terminal === true,
    seccompNotify: hasSeccompListener(config),
    mountPoints: (config.mounts ?? []).map(({ destination }) => destination),
  };
  const pids = await containerPids(state);
  return await readSnapshot({ host, init: state.pid, pids, circumstances, proc: '/proc' }, signal);
}

/** What all checks find. Pure. */
export const judgeSnapshot = (snapshot: Snapshot): Finding[] => checks.flatMap((check) => check(snapshot));
