/** What the hosts of the simulated world say about themselves and the container. */
import type { HostEndpoint, HostFacts, Inspection, TargetSurvey } from '@cmt/contracts';
import { BUNDLE, CONTAINER, type SimHost } from './sim-host.ts';

export const endpoint: HostEndpoint = {
  address: '10.0.0.1',
  sshPort: 22,
  sshUser: 'root',
  sshHostKeys: [],
  receiveSocket: '/run/cmt/receive.sock',
  receivePort: 7070,
  publicKey: 'key',
};

export const factsOf = (name: string): HostFacts => ({
  name,
  ...{ kernel: '6.18', arch: 'x64', criu: '4.2.1', criuProblem: null, runtimes: { runc: '1.3.6' } },
  features: { dirtyTracking: false, lazyPages: false },
  ...{ cpus: 2, memoryTotal: 1e9, memoryAvailable: 1e9, imagesFree: 1e9 },
});

export const inspection: Inspection = {
  ...{ container: CONTAINER, runtime: 'runc', bundle: BUNDLE, rootfs: `${BUNDLE}/rootfs` },
  ...{ pids: 1, memory: 1e7, files: 1e7, tcpConnections: 1, mounts: [], cpuinfo: '' },
  network: { kind: 'bridge', netns: '/run/netns/web', links: [], routes: [], neighbours: [] },
};

export const surveyOf = (host: SimHost, busyWith: string | null): TargetSurvey => ({
  facts: factsOf(host.name),
  cpuProblem: null,
  nameTaken: host.copy !== null,
  ...{ addressesTaken: [], missingBridges: [], missingMounts: [] },
  bundle: host.bundles.has(BUNDLE) ? 'ours' : 'absent',
  ...{ bundleFree: 1e9, rsync: true, busyWith },
});
