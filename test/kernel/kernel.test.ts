/** Pre-copy on a kernel that tracks dirty pages: each case of cases.ts, as the virtual machine reports it. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cases } from './cases.ts';
import { EVERY_MOVE } from './fleet-cases.ts';
import type { Told } from './inside.ts';
import { startMachine, type Running } from './machine.ts';

const LIMIT_MS = (EVERY_MOVE ? 60 : 20) * 60_000;
const PROGRAM = { entry: join(import.meta.dirname, 'inside.ts') };
const MEMORY_MIB = 3072;

type Outcome = Extract<Told, { kind: 'case' }>;

let machine: Running<Told> | undefined;
let listening: Promise<void> | undefined;
const outcomes = new Map<string, (outcome: Outcome | null) => void>();
/** What becomes of each case; null when the machine ended before it. */
const awaited = new Map(
  cases.map(({ name }) => [name, new Promise<Outcome | null>((resolve) => outcomes.set(name, resolve))]),
);
let lastWords = '';
const say = (line: string): void => void process.stderr.write(`${line}\n`);

beforeAll(async () => {
  machine = await startMachine({
    program: PROGRAM,
    env: EVERY_MOVE ? { CMT_TEST_EVERY_MOVE: '1' } : {},
    memoryMiB: MEMORY_MIB,
    limitMs: LIMIT_MS,
    onProgress: say,
  });
  listening = listen(machine);
}, LIMIT_MS);
afterAll(async () => {
  // What it says after the last case; one that does not go off by itself is stopped.
  await Promise.race([listening, pause(60_000, undefined, { ref: false })]);
  await machine?.stop();
}, 120_000);

async function listen({ told, lastLines }: Running<Told>): Promise<void> {
  for await (const said of told) {
    say(JSON.stringify(said));
    if (said.kind === 'forecasts') tellErrors(said);
    if (said.kind === 'case') outcomes.get(said.name)?.(said);
    else if (said.kind === 'end') lastWords = said.error ?? '';
  }
  lastWords ||= await lastLines();
  for (const end of outcomes.values()) end(null);
}

/** How good predictions were, once one move had been measured, for whoever reads the output: on a busy machine no time is steady. */
function tellErrors({ of, forecasts }: Extract<Told, { kind: 'forecasts' }>): void {
  const known = forecasts.slice(-5);
  tellHowNear(`${of}: blackouts`, known);
  tellHowNear(
    `${of}: bytes of the last dump`,
    known.map(({ remaining }) => remaining),
  );
}

function tellHowNear(
  what: string,
  all: readonly { readonly predicted: number; readonly measured: number }[],
): void {
  if (all.length === 0) return;
  const errors = all.map(({ predicted, measured }) => (predicted - measured) / measured);
  const within = errors.filter((error) => Math.abs(error) <= 0.3).length;
  const each = errors.map((error) => `${Math.round(100 * error)} %`).join(', ');
  say(`${what} predicted within 30 %: ${within} of ${errors.length} (${each})`);
}

for (const { name } of cases)
  test(name, { timeout: LIMIT_MS }, async () => {
    const outcome = await awaited.get(name);
    if (!outcome) throw new Error(`the machine ended before: ${lastWords}`);
    expect(outcome.error, outcome.error ?? '').toBeNull();
  });
