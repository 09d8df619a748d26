/** A running container, looked at from outside: what it is, how big, how it is connected. Changes nothing. */
import { lstat, realpath } from 'node:fs/promises';
import {
  AbsolutePath,
  CmtError,
  type ContainerId,
  type Finding,
  type HostFacts,
  type Inspection,
  type RuntimeName,
  type TcpPolicy,
} from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import { dumpCpuinfo } from '../criu/check.ts';
import type { ContainerState, Runtime } from '../runtimes/runtime.ts';
import {
  isWithin,
  mountsFromOutside,
  readBundleConfig,
  rootfsOf,
  type BundleConfig,
} from './bundle-config.ts';
import { heldSockets } from './checks/finding.ts';
import { containerPids } from './container-processes.ts';
import { diskUsage, type DiskUsage } from './disk.ts';
import { gatherFacts } from './facts.ts';
import { dumpMemory } from './memory.ts';
import { judgeSnapshot, takeSnapshot } from './scan.ts';
import type { Snapshot } from './snapshot.ts';

export interface Question {
  readonly runtime: RuntimeName;
  /** The container's id; without it, the one whose bundle is `bundle`. */
  readonly container?: ContainerId | undefined;
  readonly bundle?: string | undefined;
  readonly tcp: TcpPolicy;
}

export interface Answer {
  readonly inspection: Inspection;
  readonly facts: HostFacts;
  readonly findings: Finding[];
}

type Place = Pick<StepContext, 'config' | 'runtimes' | 'network'>;

/** Time for counting a bundle's bytes: the count is for a forecast, not worth more. */
const COUNT_LIMIT_MS = 20_000;

/** @throws CmtError CONTAINER_UNKNOWN, CONTAINER_NOT_RUNNING, BUNDLE_INVALID, NETWORK_UNSUPPORTED, RUNTIME_UNSUPPORTED */
export async function inspectContainer(
  question: Question,
  place: Place,
  signal: AbortSignal,
): Promise<Answer> {
  const host = place.config.name;
  const state = await runningContainer(question, place, signal);
  const bundle = usablePath(host, state.bundle);
  const config = await readBundleConfig(host, bundle);
  const facts = await gatherFacts(place.config, place.runtimes, signal);
  const network = await place.network.describe(state.pid, signal);
  const request = { host, state, config, tcp: question.tcp, criu: facts.criu };
  const [pids, snapshot, files, cpuinfo] = await Promise.all([
    containerPids(state),
    takeSnapshot(request, signal),
    countFiles(config, bundle, signal),
    facts.criu === null ? Buffer.alloc(0) : dumpCpuinfo(signal),
  ]);
  const inspection: Inspection = {
    ...{ container: state.id, runtime: question.runtime, bundle, network },
    rootfs: usablePath(host, rootfsOf(config, bundle)),
    pids: pids.length,
    memory: await dumpMemory(pids),
    files: files.bytes,
    tcpConnections: connectionsOf(snapshot),
    mounts: outsideOf(config, bundle),
    cpuinfo: cpuinfo.toString('base64'),
  };
  return { inspection, facts, findings: [...judgeSnapshot(snapshot), ...uncounted(host, bundle, files)] };
}

async function runningContainer(
  question: Question,
  place: Place,
  signal: AbortSignal,
): Promise<ContainerState> {
  const host = place.config.name;
  const runtime = place.runtimes.get(question.runtime);
  const container = question.container ?? (await containerOfBundle(runtime, question.bundle ?? '', signal));
  const state = container === null ? null : await runtime.state(container, signal);
  if (state === null)
    throw new CmtError('CONTAINER_UNKNOWN', { host, container: question.container ?? question.bundle ?? '' });
  const { id, status } = state;
  if (status !== 'running') throw new CmtError('CONTAINER_NOT_RUNNING', { host, container: id, status });
  return state;
}

/** A bundle may be named through a symbolic link. */
async function containerOfBundle(
  runtime: Runtime,
  bundle: string,
  signal: AbortSignal,
): Promise<ContainerId | null> {
  const real = (path: string): Promise<string> => realpath(path).catch(() => path);
  const wanted = await real(bundle);
  for (const summary of await runtime.list(signal))
    if ((await real(summary.bundle)) === wanted) return summary.id;
  return null;
}

function usablePath(host: string, path: string): AbsolutePath {
  const checked = AbsolutePath.safeParse(path);
  if (checked.success) return checked.data;
  throw new CmtError('BUNDLE_INVALID', { host, bundle: path, problem: 'its path cannot be used by cmt' });
}

/** The bundle, and its root filesystem where that is a mount of its own. */
async function countFiles(config: BundleConfig, bundle: string, signal: AbortSignal): Promise<DiskUsage> {
  const rootfs = rootfsOf(config, bundle);
  const [own, root] = await Promise.all([lstat(bundle), lstat(rootfs).catch(() => null)]);
  const counted = await diskUsage(bundle, COUNT_LIMIT_MS, signal);
  if (root === null || root.dev === own.dev || !isWithin(rootfs, bundle)) return counted;
  const mounted = await diskUsage(rootfs, COUNT_LIMIT_MS, signal);
  return { bytes: counted.bytes + mounted.bytes, complete: counted.complete && mounted.complete };
}

/** A root filesystem outside the bundle is not carried either: it must be on the target like any mount. */
function outsideOf(config: BundleConfig, bundle: string): Inspection['mounts'] {
  const rootfs = rootfsOf(config, bundle);
  const mounts = mountsFromOutside(config, bundle);
  return isWithin(rootfs, bundle) ? mounts : [{ source: rootfs, destination: '/' }, ...mounts];
}

function connectionsOf(snapshot: Snapshot): number {
  const held = heldSockets(snapshot);
  return snapshot.tcpSockets.filter(({ inode, connected }) => connected && held.has(inode)).length;
}

const uncounted = (host: string, bundle: string, { bytes, complete }: DiskUsage): Finding[] =>
  complete
    ? []
    : [
        {
          ...{ code: 'FILES_UNCOUNTED', severity: 'note', host },
          message: `${bundle} holds at least ${bytes} bytes; counting took too long`,
          remedy: 'Make sure that the target has room for all of it.',
        },
      ];
