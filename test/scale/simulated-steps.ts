/** What a simulated host answers: every step ends at once and well. Only the decision is made for real, in Redis. */
import type { Leg, LegResult, StepCall, StepName, StepResult } from '@cmt/contracts';
import type { DecisionRecord } from '@cmt/queue';
import { facts, figures, inspection, survey } from '../../libs/saga/test/world.ts';
import { hostRecord } from '../support/host-record.ts';

/** Runs the steps of a leg. @param tell that one has begun, or ended */
export async function simulate(
  leg: Leg,
  decisions: DecisionRecord,
  signal: AbortSignal,
  tell: (kind: 'step-started' | 'step-ended', step: StepName) => void,
): Promise<LegResult> {
  const results: StepResult[] = [];
  for (const call of leg.calls) {
    tell('step-started', call.step);
    results.push({ ok: true, step: call.step, output: await answer(call, leg, decisions, signal), ms: 1 });
    tell('step-ended', call.step);
  }
  return { v: 1, results };
}

async function answer(
  { step }: StepCall,
  { host, migration, epoch }: Leg,
  decisions: DecisionRecord,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  switch (step) {
    case 'inspect':
      return { inspection, facts: facts(host), findings: [] };
    case 'validate':
      return { survey };
    case 'prepare':
      return { endpoint: hostRecord(host, '127.0.0.1').endpoint, bundleExisted: false };
    case 'pre-dump':
      return { figures: figures(10) };
    case 'freeze-and-dump':
      return { frozenAt: Date.now(), clockOffsetMs: 0, pauseMs: 5, dumpMs: 40, figures: figures(10) };
    case 'sync-files':
    case 'final-sync':
      return { bytes: 1, ms: 1 };
    case 'restore-and-hold':
      return { waitMs: 1, restoreMs: 40, criuMs: 20 };
    case 'release':
      return await release(await decisions.settle(migration, epoch, 'COMMIT', signal));
    case 'discard':
      return { decision: await decisions.settle(migration, epoch, 'ABORT', signal) };
    case 'confirm':
      return { pid: 1, ranMs: 1 };
    case 'resume':
      return { wasFrozen: true, frozenMs: 1 };
    default:
      return {};
  }
}

const release = (decision: string): Promise<Record<string, unknown>> =>
  Promise.resolve({ decision, releasedAt: Date.now(), decideMs: 1, openMs: 1 });
