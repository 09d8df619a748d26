/** Step `pre-dump`: one round of memory, sent while the container runs on. */
import { dumpAndSend, planDump } from './dumping.ts';
import { linkTo } from './link-to.ts';
import { recall, remember } from './outcomes.ts';
import { sendingEntry } from './source-entry.ts';
import type { Step } from './step.ts';

export const preDump: Step<'pre-dump'> = async ({ subject, route, round, tcp }, context) => {
  await sendingEntry('pre-dump', context, { subject, peer: route.peer });
  const before = await recall(context, 'pre-dump', round);
  if (before !== null) return before;
  const link = await linkTo(route, context);
  const plan = await planDump(context, { name: String(round), parent: round - 1, tcp, fenced: true });
  const runtime = context.runtimes.get(subject.runtime);
  const { figures } = await dumpAndSend(context, link, plan, (signal) =>
    runtime.preDump(subject.container, plan, signal),
  );
  return await remember(context, 'pre-dump', { figures }, round);
};
