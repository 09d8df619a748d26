/** Step `sync-files`: the source carries bundle and root filesystem to the target while the container runs. */
import { linkTo } from './link-to.ts';
import { sendingEntry } from './source-entry.ts';
import type { Step } from './step.ts';

export const syncFiles: Step<'sync-files'> = async ({ subject, route }, context) => {
  await sendingEntry('sync-files', context, { subject, peer: route.peer });
  const { clock } = context.machine;
  const started = clock.elapsed();
  const link = await linkTo(route, context);
  const { bytes } = await link.syncFiles(subject.bundle, context.signal);
  return { bytes, ms: clock.elapsed() - started };
};
