/**
 * `npm run endurance -- [--migrations N] [--json]`: migrations back and forth without a fault. All must be done, one client's
 * connection must live through them, nothing may be left, and coordinator and workers must not grow. Needs root.
 */
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { buildCmt } from '../support/cmt.ts';
import { interruption } from '../support/interruption.ts';
import { startFleet, type Fleet } from '../support/fleet.ts';
import { growthOf, quantile, type Growth } from './figures.ts';
import { weighable, type Memory, type Weighed } from './memory.ts';
import { startWandering, type Wandering } from './wandering.ts';

/** Migrations in which caches fill, connections open and code is compiled. */
const WARM_UP = 50;
const GROWTH_LIMIT_PERCENT = 5;
const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

interface Run {
  readonly totalMs: number[];
  readonly blackoutMs: number[];
  readonly notDone: string[];
  readonly courses: Map<string, Memory[]>;
}

const { values } = parseArgs({
  options: { migrations: { type: 'string', default: '200' }, json: { type: 'boolean', default: false } },
});
const wanted = Number(values.migrations);
if (!Number.isInteger(wanted) || wanted < 1) throw new Error('--migrations wants a number from 1');

const interrupted = interruption('interrupted; the lab is taken down');

await buildCmt();
const fleet = await startFleet('endure');
try {
  const figures = await endure(fleet);
  process.stdout.write(
    values.json ? `${JSON.stringify(figures)}\n` : `${JSON.stringify(figures, null, 2)}\n`,
  );
  process.exitCode = isGood(figures) ? 0 : 1;
} finally {
  await fleet.stop();
}

async function endure(on: Fleet) {
  const weighing = await weighable(on, CLI);
  const wandering = await startWandering(on);
  try {
    const began = Date.now();
    const run = await moveOften(wandering, weighing);
    const { connectionsLost, called, served } = await wandering.peer.report();
    return {
      migrations: run.totalMs.length,
      done: run.totalMs.length - run.notDone.length,
      notDone: run.notDone,
      connectionsLost,
      wrongAnswers: called.wrong,
      connections: served.connections,
      answers: called.answered,
      longestGapMs: called.longestGapMs,
      leftovers: await wandering.leftovers(),
      minutes: Math.round((Date.now() - began) / 6000) / 10,
      totalMs: {
        p50: quantile(run.totalMs, 0.5),
        p95: quantile(run.totalMs, 0.95),
        max: quantile(run.totalMs, 1),
      },
      blackoutMs: {
        ...{ p50: quantile(run.blackoutMs, 0.5), p95: quantile(run.blackoutMs, 0.95) },
        max: quantile(run.blackoutMs, 1),
      },
      /** Null when there were too few migrations to say. */
      memory: [...run.courses].map(([name, samples]) => growthOf({ name, samples }, WARM_UP)),
    };
  } finally {
    wandering.peer.kill();
  }
}

async function moveOften(wandering: Wandering, weighing: readonly Weighed[]): Promise<Run> {
  const run: Run = { totalMs: [], blackoutMs: [], notDone: [], courses: new Map() };
  await weigh(weighing, run);
  for (let n = 1; n <= wanted; n += 1) {
    interrupted.throwIfAborted();
    const { id, state, totalMs, blackoutMs, message } = await wandering.move();
    run.totalMs.push(Math.round(totalMs));
    if (blackoutMs !== null) run.blackoutMs.push(Math.round(blackoutMs));
    if (state !== 'done') run.notDone.push(`${id} ${state}: ${message ?? ''}`);
    await weigh(weighing, run);
    tell(n, state, run);
  }
  return run;
}

async function weigh(weighing: readonly Weighed[], { courses }: Run): Promise<void> {
  for (const each of weighing)
    courses.set(each.name, [...(courses.get(each.name) ?? []), await each.weigh()]);
}

function tell(n: number, state: string, { totalMs, blackoutMs, courses }: Run): void {
  const sizes = [...courses].map(([name, samples]) => {
    const { rss, heapUsed } = samples.at(-1) ?? { rss: 0, heapUsed: 0 };
    return `${name} ${(rss / 1e6).toFixed(1)} MB (heap ${(heapUsed / 1e6).toFixed(1)})`;
  });
  const times = `${totalMs.at(-1) ?? 0} ms, blackout ${blackoutMs.at(-1) ?? 0} ms`;
  process.stderr.write(`${n}/${wanted} ${state} in ${times}; ${sizes.join(', ')}\n`);
}

function isGood(figures: Awaited<ReturnType<typeof endure>>): boolean {
  const { done, migrations, connectionsLost, wrongAnswers, connections, leftovers, memory } = figures;
  const grew = (growth: Growth | null) => growth !== null && growth.percent >= GROWTH_LIMIT_PERCENT;
  const talked = connectionsLost === 0 && wrongAnswers === 0 && connections === 1;
  return done === migrations && talked && leftovers.length === 0 && !memory.some(grew);
}
