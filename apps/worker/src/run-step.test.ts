import { CmtError, type Leg, type LegResult, type StepCall, type StepName } from '@cmt/contracts';
import { Preempted, run as runProgram, thisClock, type StepContext, type Steps } from '@cmt/host';
import { expect, test } from 'vitest';
import { runLeg } from './run-step.ts';

const subject = { runtime: 'runc', container: 'web', bundle: '/srv/web' };
const call = (step: StepName, input: Record<string, unknown>, timeoutMs = 5000): StepCall => ({
  step,
  input,
  timeoutMs,
});
const confirm = call('confirm', { subject, confirmForMs: 0 });
const retire = call('retire', { subject, network: { kind: 'none' } });

/** Runs a leg of these calls where the named steps behave as given; what was begun and what broke is kept. */
async function run(
  calls: StepCall[],
  behaviour: Partial<Record<StepName, (context: StepContext) => Promise<unknown>>>,
  signal = new AbortController().signal,
) {
  const started: string[] = [];
  const broken: unknown[] = [];
  const steps = Object.fromEntries(
    Object.entries(behaviour).map(([name, act]) => [
      name,
      (_: unknown, context: StepContext) => act(context),
    ]),
  ) as unknown as Steps;
  const leg: Leg = { v: 1, migration: 'm1', epoch: 1, host: 'b', task: 't.1.1', try: 1, calls, issuedAt: 0 };
  const result: LegResult = await runLeg({
    leg,
    host: 'b',
    signal,
    steps,
    clock: thisClock,
    contextFor: (_, own) => ({ signal: own }) as StepContext,
    onStarted: (step) => started.push(step),
    onEnded: () => undefined,
    onBroken: (_, error) => broken.push(error),
  });
  return { started, broken, results: result.results };
}

const untilAborted = ({ signal }: StepContext): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });

test('steps run in order, and their outputs come back', async () => {
  const { started, results } = await run([confirm, retire], {
    confirm: () => Promise.resolve({ pid: 1, ranMs: 2 }),
    retire: () => Promise.resolve({}),
  });
  expect(started).toEqual(['confirm', 'retire']);
  expect(results).toMatchObject([
    { ok: true, step: 'confirm', output: { pid: 1, ranMs: 2 } },
    { ok: true, step: 'retire', output: {} },
  ]);
});

test('the leg ends at the first failure, which travels as it was thrown', async () => {
  const { started, results } = await run([confirm, retire], {
    confirm: () => Promise.reject(new CmtError('CONTAINER_DIED', { container: 'web', host: 'b', ms: 1 })),
  });
  expect(started).toEqual(['confirm']);
  expect(results).toMatchObject([{ ok: false, failure: { code: 'CONTAINER_DIED' } }]);
});

test('an input that is not in the table is refused before anything runs', async () => {
  const bad = call('confirm', { subject: { ...subject, bundle: '/srv/../etc' }, confirmForMs: 0 });
  const { results } = await run([bad], { confirm: () => Promise.reject(new Error('must not run')) });
  expect(results).toMatchObject([{ ok: false, failure: { code: 'REQUEST_INVALID' } }]);
});

test('a step over its time is STEP_TIMEOUT, also when its parts call that cancelled', async () => {
  const late = { ...confirm, timeoutMs: 20 };
  const { results } = await run([late], { confirm: untilAborted });
  expect(results).toMatchObject([
    { failure: { code: 'STEP_TIMEOUT', details: { step: 'confirm', ms: 20 } } },
  ]);
  const worded = await run([late], {
    confirm: (context) =>
      untilAborted(context).catch(() => Promise.reject(new CmtError('CANCELLED', { reason: 'aborted' }))),
  });
  expect(worded.results).toMatchObject([{ failure: { code: 'STEP_TIMEOUT' } }]);
});

test('a cancelled leg says who cancelled it', async () => {
  const cancel = new AbortController();
  const under = run([confirm, retire], { confirm: untilAborted }, cancel.signal);
  cancel.abort(new CmtError('CANCELLED', { reason: 'an operator' }));
  expect((await under).results).toMatchObject([
    { failure: { code: 'CANCELLED', details: { reason: 'an operator' } } },
  ]);
});

test('a leg that this worker may not go on with is thrown back, not reported', async () => {
  const stop = new AbortController();
  const under = run([confirm], { confirm: untilAborted }, stop.signal);
  const fenced = new Error('its lock is gone');
  stop.abort(fenced);
  await expect(under).rejects.toBe(fenced);
});

test('a program that is not installed is named, with the host, and is nobody’s bug', async () => {
  const missing = await run([confirm], {
    confirm: () => runProgram('no-such-runc', ['list'], { timeoutMs: 1000 }),
  });
  expect(missing.results).toMatchObject([
    { failure: { code: 'TOOL_MISSING', details: { tool: 'no-such-runc', host: 'b' } } },
  ]);
  expect(missing.broken).toEqual([]);
});

test('what nobody foresaw is INTERNAL and logged; a preempted step is cancelled', async () => {
  const broken = await run([confirm], { confirm: () => Promise.reject(new TypeError('oops')) });
  expect(broken.results).toMatchObject([{ failure: { code: 'INTERNAL', details: { reason: 'oops' } } }]);
  expect(broken.broken).toHaveLength(1);
  const preempted = await run([confirm], { confirm: () => Promise.reject(new Preempted()) });
  expect(preempted.results).toMatchObject([{ failure: { code: 'CANCELLED' } }]);
});
