/**
 * A leg's steps, one after the other: input checked against the table, time limited, every end turned into a result.
 *
 * INVARIANTS
 * - The leg ends at the first step that fails.
 * - A step that failed for this very reason is never reported as failed: that this worker may not go on (its lock is lost, or
 *   it shuts down). Then the leg is thrown back, and begun again.
 */
import {
  CmtError,
  messageOf,
  steps as table,
  type Failure,
  type HostName,
  type Leg,
  type LegResult,
  type StepCall,
  type StepName,
  type StepResult,
} from '@cmt/contracts';
import { Preempted, ProcessError, type Clock, type StepContext, type Steps } from '@cmt/host';

/** Whose turn it is, and what the steps may use. */
export interface LegRun {
  readonly leg: Leg;
  readonly host: HostName;
  /** Aborts with CmtError CANCELLED when the leg is to end, with anything else when it is to be begun again elsewhere. */
  readonly signal: AbortSignal;
  readonly steps: Steps;
  readonly clock: Clock;
  readonly contextFor: (call: StepCall, signal: AbortSignal) => StepContext;
  readonly onStarted: (step: StepName) => void;
  readonly onEnded: (result: StepResult, sentence: string) => void;
  /** What broke in a step that nobody foresaw, for the log. */
  readonly onBroken: (step: StepName, error: unknown) => void;
}

/** Runs a leg. @throws the reason of its signal when the leg is to be begun again */
export async function runLeg(run: LegRun): Promise<LegResult> {
  const results: StepResult[] = [];
  for (const call of run.leg.calls) {
    run.onStarted(call.step);
    const result = await runStep(call, run);
    run.onEnded(result, result.ok ? 'done' : messageOf(result.failure));
    results.push(result);
    if (!result.ok) break;
  }
  return { v: 1, results };
}

async function runStep(call: StepCall, run: LegRun): Promise<StepResult> {
  const { clock } = run;
  const started = clock.elapsed();
  const limit = clock.limit(call.timeoutMs);
  const ms = (): number => clock.elapsed() - started;
  try {
    run.signal.throwIfAborted();
    const output = await perform(call, run.steps, run.contextFor(call, AbortSignal.any([run.signal, limit])));
    return { ok: true, step: call.step, output, ms: ms() };
  } catch (error) {
    const failure = failureOf(error, { call, limit, run });
    return { ok: false, step: call.step, failure, ms: ms() };
  }
}

async function perform(call: StepCall, steps: Steps, context: StepContext): Promise<Record<string, unknown>> {
  const input = table[call.step].input.safeParse(call.input);
  if (!input.success) {
    const [issue] = input.error.issues;
    const problem = `${call.step}.${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`;
    throw new CmtError('REQUEST_INVALID', { problem });
  }
  const step = steps[call.step] as (input: unknown, context: StepContext) => Promise<Record<string, unknown>>;
  return await step(input.data, context);
}

interface Ending {
  readonly call: StepCall;
  readonly limit: AbortSignal;
  readonly run: LegRun;
}

/** What a step's exception says. @throws the signal's reason when the leg is to be begun again */
function failureOf(error: unknown, { call, limit, run }: Ending): Failure {
  const foreseen = error instanceof CmtError && error.failure.code !== 'CANCELLED';
  if (foreseen) return error.failure;
  if (run.signal.aborted) return reasonToStop(run.signal);
  const { step, timeoutMs } = call;
  if (limit.aborted) return new CmtError('STEP_TIMEOUT', { step, host: run.host, ms: timeoutMs }).failure;
  if (error instanceof Preempted) return new CmtError('CANCELLED', { reason: error.message }).failure;
  if (error instanceof CmtError) return error.failure;
  if (error instanceof ProcessError && error.neverStarted) return toolMissing(error, run.host);
  run.onBroken(step, error);
  const reason = error instanceof Error ? error.message : String(error);
  return new CmtError('INTERNAL', { host: run.host, step, reason }).failure;
}

function toolMissing({ finished }: ProcessError, host: HostName): Failure {
  const tool = finished.command.split(' ', 1)[0] ?? '';
  return new CmtError('TOOL_MISSING', { tool, host, reason: finished.stderr }).failure;
}

function reasonToStop(signal: AbortSignal): Failure {
  const reason: unknown = signal.reason;
  if (reason instanceof CmtError) return reason.failure;
  throw reason;
}
