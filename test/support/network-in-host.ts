/** Runs inside a lab host: the network under test. See in-host.ts. */
import type { ContainerNetwork } from '@cmt/contracts';
import { createNetwork } from '../../libs/host/src/network/index.ts';
import { answerCalls } from './answering.ts';

const network = createNetwork('this-host');
const limit = (): AbortSignal => AbortSignal.timeout(20_000);

await answerCalls({
  describe: (pid: number) => network.describe(pid, limit()),
  fence: (given: ContainerNetwork) => network.fence(given, limit(), () => Promise.resolve()),
  unfence: (given: ContainerNetwork) => network.unfence(given, limit()),
  build: (given: ContainerNetwork) => network.build(given, limit()),
  attach: (given: ContainerNetwork) => network.attach(given, limit()),
  remove: (given: ContainerNetwork) => network.remove(given, limit()),
  conflicts: (given: ContainerNetwork) => network.conflicts(given, limit()),
});
