/** The announcement of a host that is not there, for tests of who looks hosts up. */
import type { HostRecord } from '@cmt/contracts';

export const hostRecord = (
  name: string,
  address: string,
  containers: readonly string[] = [],
): HostRecord => ({
  ...{ v: 1, labels: {}, cmtVersion: '0.1.0', startedAt: 0, seenAt: 0 },
  facts: {
    ...{
      name,
      kernel: '6.18.0',
      arch: 'x86_64',
      criu: '4.2.1',
      runtimes: { runc: '1.3.6' },
      criuProblem: null,
    },
    ...{
      features: { dirtyTracking: false, lazyPages: true },
      cpus: 2,
      memoryTotal: 8e9,
      memoryAvailable: 4.2e9,
    },
    imagesFree: 1e9,
  },
  endpoint: {
    ...{ address, sshPort: 22, sshUser: 'root', sshHostKeys: [], receivePort: 7070, publicKey: 'x' },
    receiveSocket: '/run/cmt/receive.sock',
  },
  containers: containers.map((id) => ({
    id,
    runtime: 'runc',
    status: 'running',
    bundle: `/srv/${id}`,
    pid: 7,
  })),
});
