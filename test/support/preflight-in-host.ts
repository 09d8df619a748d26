/** Runs inside a lab host: inspection of a container, and the target's survey. See in-host.ts. */
import type { Inspection, TcpPolicy, WorkerConfig } from '@cmt/contracts';
import { createNetwork } from '../../libs/host/src/network/index.ts';
import { bundleOwner, forgetBundle, rememberBundle } from '../../libs/host/src/preflight/bundles.ts';
import { gatherFacts } from '../../libs/host/src/preflight/facts.ts';
import { inspectContainer } from '../../libs/host/src/preflight/inspect.ts';
import { surveyTarget } from '../../libs/host/src/preflight/survey.ts';
import { createRuntimes } from '../../libs/host/src/runtimes/registry.ts';
import { answerCalls } from './answering.ts';

const config = { name: 'this-host', imagesDir: '/run/cmt/images', stateDir: '/var/lib/cmt' } as WorkerConfig;
const runtimes = createRuntimes({ host: config.name });
const network = createNetwork(config.name);
const limit = (): AbortSignal => AbortSignal.timeout(30_000);
const journal = { busyWith: () => Promise.resolve(null) };

await answerCalls({
  facts: () => gatherFacts(config, runtimes, limit()),
  inspect: (container: string, tcp: TcpPolicy) =>
    inspectContainer({ runtime: 'runc', container, tcp }, { config, runtimes, network }, limit()),
  survey: (inspection: Inspection, bundle: string) =>
    surveyTarget(inspection, bundle, { config, runtimes, network, journal: journal as never }, limit()),
  remember: (bundle: string, container: string) => rememberBundle(config, bundle, container),
  forget: (bundle: string) => forgetBundle(config, bundle),
  owner: (bundle: string) => bundleOwner(config, bundle),
});
