/** Builds each step's call from what the saga knows. One function per step: a missing one does not compile. */
import type {
  ContainerNetwork,
  Hook,
  Route,
  Side,
  StepCall,
  StepInput,
  StepName,
  Subject,
} from '@cmt/contracts';
import { timeLimit } from './limits.ts';
import { ratesOf } from './rates.ts';
import { hookContext } from './report.ts';
import { following, isLazy, isPostCopy } from './restoring.ts';
import type { Saga } from './state.ts';

type PlainStep = Exclude<StepName, 'hook' | 'clean' | 'doctor'>;
type Inputs = { readonly [N in PlainStep]: (saga: Saga) => StepInput<N> };

const inputs: Inputs = {
  inspect: ({ request }) => ({
    runtime: request.runtime,
    container: request.container,
    bundle: request.sourceBundle,
    tcp: request.options.tcp,
  }),
  validate: (saga) => ({
    inspection: known(saga.inspection, 'inspection'),
    targetBundle: onTarget(saga).bundle,
    sharedRootfs: saga.request.options.sharedRootfs,
    source: saga.request.source,
  }),
  prepare: (saga) => ({
    subject: onTarget(saga),
    source: saga.request.source,
    sourceKey: known(saga.source, 'source').endpoint.publicKey,
    network: network(saga),
    memory: known(saga.inspection, 'inspection').memory,
    files: known(saga.inspection, 'inspection').files,
    transport: saga.request.options.transport,
    sharedRootfs: saga.request.options.sharedRootfs,
  }),
  'sync-files': (saga) => ({ subject: onSource(saga), route: route(saga) }),
  'pre-dump': (saga) => ({
    subject: onSource(saga),
    route: route(saga),
    round: saga.rounds.length + 1,
    tcp: tcp(saga),
    memory: known(saga.inspection, 'inspection').memory,
    // `sync-files` has just carried them.
    carry: saga.rounds.length > 0 && !saga.request.options.sharedRootfs,
  }),
  'freeze-and-dump': (saga) => ({
    subject: onSource(saga),
    route: route(saga),
    network: network(saga),
    tcp: tcp(saga),
    rounds: saga.rounds.length,
    memory: known(saga.inspection, 'inspection').memory,
    awaitRestorer: saga.stage === 'switch',
    carry: !saga.request.options.sharedRootfs,
    ...(isPostCopy(saga) ? { postCopy: true } : {}),
  }),
  'final-sync': (saga) => ({
    subject: onSource(saga),
    route: route(saga),
    carry: !saga.request.options.sharedRootfs,
  }),
  'restore-and-hold': (saga) => ({
    subject: onTarget(saga),
    network: network(saga),
    tcp: tcp(saga),
    rounds: saga.rounds.length,
    lazy: isLazy(saga),
    ...(isPostCopy(saga) ? { postCopy: true } : {}),
  }),
  release: (saga) => ({ subject: onTarget(saga), network: network(saga), ...without('source', saga) }),
  confirm: (saga) => ({
    subject: onTarget(saga),
    confirmForMs: saga.request.options.confirmForMs,
    ...(saga.inspection === null ? {} : { memory: saga.inspection.memory }),
    ...followingOf(saga),
  }),
  retire: (saga) => ({ subject: onSource(saga), network: network(saga) }),
  discard: (saga) => ({ subject: onTarget(saga), network: network(saga) }),
  resume: (saga) => ({ subject: onSource(saga), network: network(saga), ...without('target', saga) }),
};

/** The call of one step, as it stands in a leg. */
export const call = (step: PlainStep, saga: Saga): StepCall => ({
  step,
  input: inputs[step](saga),
  timeoutMs: Math.ceil(timeLimit(step, saga)),
});

/** `clean` of one side. */
export const cleanCall = (side: 'source' | 'target', outcome: 'moved' | 'stayed', saga: Saga): StepCall => ({
  step: 'clean',
  input: {
    side,
    subject: side === 'source' ? onSource(saga) : onTarget(saga),
    network: network(saga),
    outcome,
  } satisfies StepInput<'clean'>,
  timeoutMs: timeLimit('clean', saga),
});

/** A hook on one of the hosts. */
export const hookCall = (hook: Hook, saga: Saga): StepCall => ({
  step: 'hook',
  input: { hook, context: hookContext(saga, hook.name) } satisfies StepInput<'hook'>,
  timeoutMs: hook.timeoutMs + 1000,
});

function onSource(saga: Saga): Subject {
  const { container, runtime, bundle } = known(saga.inspection, 'inspection');
  return { container, runtime, bundle };
}

function onTarget(saga: Saga): Subject {
  return { ...onSource(saga), bundle: saga.request.targetBundle ?? onSource(saga).bundle };
}

const network = (saga: Saga): ContainerNetwork => known(saga.inspection, 'inspection').network;
/** The override that an operator's word gives to the side that is left. */
const without = (side: Side, saga: Saga): { fenced?: true } => (saga.fenced === side ? { fenced: true } : {});
const tcp = (saga: Saga) => saga.request.options.tcp;

const route = (saga: Saga): Route => ({
  transport: saga.request.options.transport,
  peer: saga.request.target,
  endpoint: known(saga.target, 'target').endpoint,
  ...ratesOf(saga),
  ...compressed(saga),
});

function followingOf(saga: Saga): Pick<StepInput<'confirm'>, 'following'> {
  const bytes = following(saga);
  return bytes === null ? {} : { following: bytes };
}

const compressed = ({ request }: Saga): Pick<Route, 'compress'> =>
  request.options.compress === 'none' ? {} : { compress: request.options.compress };

/** Stages are entered only once their facts are there; anything else is a fault of the saga itself. */
function known<T>(fact: T | null, name: string): T {
  if (fact === null) throw new Error(`the saga asks for ${name} before it is known`);
  return fact;
}
