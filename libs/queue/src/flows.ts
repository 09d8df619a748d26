/**
 * The migrations that send bytes, or are about to, for those who share out links.
 *
 * INVARIANTS
 * - What is read here is signed by nobody, so it may narrow what a migration takes and nothing else.
 * - A record that is damaged is as good as none: what is known of the other migrations is shared out all the same.
 */
import { keys, TuneOrder, type HostName, type MigrationId } from '@cmt/contracts';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { sendControl } from './bus.ts';
import { reaching } from './connection.ts';
import { jsonText } from './json-text.ts';

/** One of them. `cap` is what it may take by itself, in bytes per second, as it was asked for or was changed since. */
export interface FlowUnderWay {
  readonly id: MigrationId;
  readonly source: HostName;
  readonly target: HostName;
  readonly cap: number | null;
}

/**
 * All in the fleet that have begun and not come to their decision, and those whose pages follow after it.
 * @param ignore told of each whose own bound cannot be read, and why
 */
export async function flowsUnderWay(
  redis: Redis,
  ignore: (id: MigrationId, why: string) => void,
): Promise<FlowUnderWay[]> {
  const ids = await reaching(redis, redis.hkeys(keys.slots('fleet')));
  const pipeline = redis.pipeline();
  for (const id of ids)
    pipeline.hmget(keys.saga(id), 'status', 'places', 'report').hget(keys.tuning(id), 'bandwidth');
  const answers = (await reaching(redis, pipeline.exec())) ?? [];
  return ids.flatMap((id, at) => {
    const [status, places, report] = (answers[2 * at]?.[1] ?? []) as (string | null)[];
    const { out: source, in: target } = hostsOf(places ?? '');
    if (!isSending(status, report) || source === undefined || target === undefined) return [];
    const damaged = (error: z.ZodError) => ignore(id, z.prettifyError(error));
    return [{ id, source, target, cap: capOf(report, answers[2 * at + 1]?.[1], damaged) }];
  });
}

const Follows = jsonText(z.object({ pagesFollow: z.literal(true) }));
const isSending = (status: string | null | undefined, report: string | null | undefined): boolean =>
  status === 'running' || (status === 'committed' && Follows.safeParse(report).success);

/** From the places it holds: `out:alpha in:beta …`. A request may have left its target open. */
const hostsOf = (places: string): Partial<Record<string, HostName>> =>
  Object.fromEntries(places.split(' ').map((place) => place.split(':', 2) as [string, string]));

const Asked = jsonText(
  z.object({ request: z.object({ options: z.object({ bandwidth: z.number().optional() }) }) }),
);
const Changed = jsonText(z.object({ body: jsonText(TuneOrder) }));

/** What it was changed to, or else what was asked for. */
function capOf(report: unknown, changed: unknown, damaged: (error: z.ZodError) => void): number | null {
  const tuned = Changed.nullish().safeParse(changed);
  if (!tuned.success) damaged(tuned.error);
  const cap = tuned.data?.body.tuning.bandwidth;
  if (cap !== undefined) return cap;
  const asked = Asked.safeParse(report);
  if (!asked.success) damaged(asked.error);
  return asked.data?.request.options.bandwidth ?? null;
}

/** Tells coordinators that a migration has begun or stopped sending, or that a limit of links was set. */
export const tellFlowsChanged = (redis: Redis): Promise<void> =>
  reaching(redis, sendControl(redis, { kind: 'flows' }));
