/**
 * Step `freeze-and-dump`: the blackout begins. The source stands frozen in memory, cut off from the network, and its images stream
 * to the target while CRIU writes them.
 *
 * INVARIANTS
 * - Whatever can be made ready is ready before the freeze: link, channels, directories, the target's armed restorer.
 * - FROZEN is journalled before the network is cut and the processes stop.
 * - A failure leaves the copy frozen: only `resume`, with ABORT on record, lets it run on. The target is told at once to wait no longer.
 * - CRIU is not killed in the middle of a dump unless it will not end.
 */
import { CmtError, type StepInput, type StepOutput } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { JournalEntry } from '../journal.ts';
import type { ArmedDump, ContainerState, DumpPlan } from '../runtimes/runtime.ts';
import type { Link } from '../transports/transport.ts';
import type { PageStream } from '../transports/page-stream.ts';
import { dumpAndSend, planDump } from './dumping.ts';
import { record } from './entry.ts';
import { carryAhead, stopCarrying } from './files-ahead.ts';
import { linkTo } from './link-to.ts';
import { recall, remember } from './outcomes.ts';
import { dumpAndServe, endServing } from './serving.ts';
import { sendingEntry } from './source-entry.ts';
import type { Step } from './step.ts';
import { noteRate } from './tuning.ts';

type Input = StepInput<'freeze-and-dump'>;

/** Milliseconds that the target's worker gets to pick its leg up. Nothing stands still meanwhile. */
const RESTORER_LIMIT_MS = 20_000;

export const freezeAndDump: Step<'freeze-and-dump'> = async (input, context) => {
  const whom = { subject: input.subject, peer: input.route.peer };
  const entry = await sendingEntry('freeze-and-dump', context, whom, ['SENDING', 'FROZEN']);
  const before = entry.phase === 'FROZEN' ? await recall(context, 'freeze-and-dump') : null;
  if (before !== null) return before;

  const link = await linkTo(input.route, context);
  try {
    const ready = await makeReady(input, entry, link, context);
    try {
      const output = await blackout({ input, entry, link, ...ready }, context);
      return await remember(context, 'freeze-and-dump', output);
    } finally {
      await ready.armed?.disarm();
      await ready.pages?.close();
    }
  } catch (error) {
    link.abandon(error instanceof Error ? error.message : String(error));
    stopCarrying(link, new CmtError('CANCELLED', { reason: 'the dump failed' }));
    throw error;
  }
};

/** All that needs no frozen container. */
async function makeReady(
  input: Input,
  entry: JournalEntry,
  link: Link,
  context: StepContext,
): Promise<Way & Pick<Ready, 'plan' | 'state' | 'roundEnd'>> {
  const pages = input.postCopy === true ? await openPages(link, entry, context) : null;
  try {
    const [plan, state, roundEnd] = await Promise.all([
      planDump(context, {
        ...{ name: 'final', parent: input.rounds, tcp: input.tcp },
        ...{ fenced: input.network.kind !== 'host', way: pages === null ? 'armed' : 'serving' },
        memory: input.memory,
      }),
      requireThere(input, entry, context),
      endOfRounds(input, context),
      warmUp(link, context),
      input.awaitRestorer ? restorerArmed(link, input, context) : undefined,
    ]);
    context.signal.throwIfAborted();
    tellOfSlowWay(link, input, context);
    if (pages !== null) return { plan, state, roundEnd, pages, armed: null };
    const { runtime, container } = input.subject;
    // The last of all: what is wrong elsewhere leaves none behind.
    const armed = await context.runtimes.get(runtime).armDump(container, plan, context.signal);
    return { plan, state, roundEnd, pages, armed };
  } catch (error) {
    await pages?.close();
    throw error;
  }
}

/** Milliseconds since 1970; null without rounds. */
async function endOfRounds({ rounds }: Input, context: StepContext): Promise<number | null> {
  const last = rounds === 0 ? null : await recall(context, 'pre-dump', rounds);
  return last === null ? null : last.figures.startedAt + last.figures.ms;
}

/** The way on which pages follow; what an earlier start of this very step served ends. */
async function openPages(link: Link, entry: JournalEntry, context: StepContext): Promise<PageStream> {
  await endServing(entry, context);
  const rateFile = await noteRate(link, context);
  return await link.openPages(rateFile, context.signal);
}

function tellOfSlowWay({ uncarried, way }: Link, { route }: Input, { tell }: StepContext): void {
  const packed = route.compress !== undefined;
  if (uncarried === null || (way === 'relayed' && !packed)) return;
  const but = packed ? 'which is slower, and nothing is compressed' : 'which is slower';
  tell({
    kind: 'note',
    text: `images to ${route.peer} have no connection of their own, ${but}: ${uncarried}`,
  });
}

/** A target that shares the files opens nothing for them. */
async function warmUp(link: Link, { signal }: StepContext): Promise<void> {
  try {
    await link.warmUp(signal);
  } catch (error) {
    if (!(error instanceof CmtError && error.failure.code === 'FILES_FAILED')) throw error;
  }
}

/** Running, or frozen by an earlier start of this very step. */
async function requireThere(
  { subject: { runtime, container } }: Input,
  { phase }: JournalEntry,
  { runtimes, config, signal }: StepContext,
): Promise<ContainerState> {
  const state = await runtimes.get(runtime).state(container, signal);
  const host = config.name;
  if (state === null) throw new CmtError('CONTAINER_UNKNOWN', { container, host });
  if (state.status !== 'running' && phase !== 'FROZEN')
    throw new CmtError('CONTAINER_NOT_RUNNING', { container, host, status: state.status });
  return state;
}

async function restorerArmed(link: Link, { route }: Input, context: StepContext): Promise<void> {
  const limit = context.machine.clock.limit(RESTORER_LIMIT_MS);
  try {
    await link.restorerArmed(AbortSignal.any([context.signal, limit]));
  } catch (error) {
    if (context.signal.aborted || !limit.aborted) throw error;
    throw new CmtError('SESSION_LOST', { host: route.peer, migration: context.migration });
  }
}

/** Memory follows on `pages`, or is dumped. */
type Way =
  { readonly pages: PageStream; readonly armed: null } | { readonly pages: null; readonly armed: ArmedDump };

type Ready = Way & {
  readonly input: Input;
  readonly entry: JournalEntry;
  readonly link: Link;
  readonly plan: DumpPlan;
  readonly state: ContainerState;
  readonly roundEnd: number | null;
};

async function blackout(
  { input, entry, link, plan, state, roundEnd, pages, armed }: Ready,
  context: StepContext,
): Promise<StepOutput<'freeze-and-dump'>> {
  const { subject, network } = input;
  const { clock, files } = context.machine;
  const runtime = context.runtimes.get(subject.runtime);
  await record('freeze-and-dump', context, {
    ...entry,
    phase: 'FROZEN',
    network,
    frozenAt: entry.frozenAt ?? clock.now(),
    route: input.route,
  });

  let [frozenAt, ordered] = [entry.frozenAt ?? clock.now(), clock.elapsed()];
  await context.network.fence(network, context.signal, async () => {
    [frozenAt, ordered] = [entry.frozenAt ?? clock.now(), clock.elapsed()];
    await runtime.pause(subject.container, context.signal);
  });
  const pauseMs = clock.elapsed() - ordered;
  const touched = files.touchMappedFiles(state);
  touched.catch(() => undefined);
  if (input.carry === true) carryAhead(link, subject.bundle, touched, context.signal);
  const { figures, dumpMs } = await (pages === null
    ? dumpAndSend(context, link, plan, (signal, onWritten) => armed.dump(signal, onWritten))
    : dumpAndServe(context, { link, plan, pages, peer: input.route.peer }, subject));
  await touched;
  return {
    ...{ frozenAt, clockOffsetMs: link.clockOffsetMs },
    ...(roundEnd === null ? {} : { readyMs: Math.max(0, frozenAt - roundEnd) }),
    ...{ pauseMs, dumpMs, figures, postCopy: pages !== null },
  };
}
