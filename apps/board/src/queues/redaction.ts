/** What Bull Board shows of jobs: which, for whom, how it ended. Never what a job holds or has printed. Pure. */
import { Failure, HookName, StepName } from '@cmt/contracts';
import { z } from 'zod';

/** As much of a job's body as is shown; everything else is left out. */
const Body = z.object({
  kind: z.string().max(20).optional().catch(undefined),
  id: z.string().max(64).optional().catch(undefined),
  migration: z.string().max(64).optional().catch(undefined),
  container: z.string().max(128).optional().catch(undefined),
  source: z.string().max(64).optional().catch(undefined),
  target: z.string().max(64).optional().catch(undefined),
  fenced: z.string().max(64).optional().catch(undefined),
  task: z.string().max(64).optional().catch(undefined),
  epoch: z.number().optional().catch(undefined),
  try: z.number().optional().catch(undefined),
});
const Sealed = z.object({ body: z.string(), key: z.string().max(16) });
const Leg = z.object({ sealed: Sealed, lease: z.number() });

const Result = z.object({
  step: z.union([StepName, HookName]).catch('hook'),
  ok: z.boolean(),
  ms: z.number(),
  failure: Failure.pick({ code: true }).optional().catch(undefined),
});

const HIDDEN = 'not shown';

/** What a job holds. */
export function shownData(data: unknown): Record<string, unknown> {
  const leg = Leg.safeParse(data);
  if (leg.success) return { ...sealedFacts(leg.data.sealed), lease: leg.data.lease };
  const sealed = Sealed.safeParse(data);
  return sealed.success ? sealedFacts(sealed.data) : { body: HIDDEN };
}

function sealedFacts({ body, key }: z.infer<typeof Sealed>): Record<string, unknown> {
  const parsed = Body.safeParse(fromJson(body));
  const facts = parsed.success ? parsed.data : {};
  return { ...facts, signedBy: key, body: `${HIDDEN} (${Buffer.byteLength(body)} bytes)` };
}

/** What a job has returned. */
export function shownResult(value: unknown): unknown {
  if (value === null || value === undefined) return value;
  const refused = z.object({ refused: Failure.pick({ code: true }) }).safeParse(value);
  if (refused.success) return { refused: refused.data.refused.code };
  const results = z.object({ results: z.array(Result) }).safeParse(value);
  if (!results.success) return { result: HIDDEN };
  return results.data.results.map(({ step, ok, ms, failure }) => ({
    ...{ step, ok, ms: Math.round(ms) },
    ...(failure === undefined ? {} : { failure: failure.code }),
    output: HIDDEN,
  }));
}

/** cmt's jobs tell their progress as events of the migration. */
export const shownProgress = (progress: unknown): unknown => (typeof progress === 'number' ? progress : 0);

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
