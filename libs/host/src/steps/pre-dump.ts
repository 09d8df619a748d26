/** Step `pre-dump`: one round of pre-copy while the container runs on: the files that changed, then memory. */
import type { Subject } from '@cmt/contracts';
import type { StepContext } from '../context.ts';
import type { Link } from '../transports/transport.ts';
import { dumpAndSend, planDump } from './dumping.ts';
import { linkTo } from './link-to.ts';
import { recall, remember } from './outcomes.ts';
import { sendingEntry } from './source-entry.ts';
import type { Step } from './step.ts';

export const preDump: Step<'pre-dump'> = async ({ subject, route, round, tcp, carry, memory }, context) => {
  await sendingEntry('pre-dump', context, { subject, peer: route.peer });
  const before = await recall(context, 'pre-dump', round);
  if (before !== null) return before;
  const link = await linkTo(route, context);
  // Files first: the sooner the next dump follows upon this one, the less it finds to write.
  const filesMs = carry ? await carryFiles(subject.bundle, link, context) : null;
  // CRIU locks no connection in a pre-dump, whatever it is told (criu/cr-dump.c, cr_pre_dump_tasks).
  const plan = await planDump(context, {
    ...{ name: String(round), parent: round - 1, tcp },
    ...{ fenced: true, way: 'once', memory },
  });
  const runtime = context.runtimes.get(subject.runtime);
  const startedAt = context.machine.clock.now();
  const { figures } = await dumpAndSend(context, link, plan, (signal) =>
    runtime.preDump(subject.container, plan, signal),
  );
  const dirtyBytes = await writtenAgain(subject, context);
  return await remember(
    context,
    'pre-dump',
    { figures: { ...figures, startedAt, filesMs, dirtyBytes } },
    round,
  );
};

/** What the next dump would have to carry. A round is none the worse where nobody can look. */
async function writtenAgain(
  { runtime, container }: Subject,
  { runtimes, machine, tell }: StepContext,
): Promise<number | null> {
  try {
    const cgroup = await runtimes.get(runtime).cgroup(container);
    return cgroup === null ? null : await machine.processes.dirtyBytes(cgroup);
  } catch (error) {
    tell({ kind: 'warning', text: `What was written meanwhile cannot be seen: ${String(error)}` });
    return null;
  }
}

async function carryFiles(bundle: string, link: Link, { machine, signal }: StepContext): Promise<number> {
  const started = machine.clock.elapsed();
  await link.syncFiles(bundle, signal);
  return machine.clock.elapsed() - started;
}
