/**
 * Runs the suites and adds up what they counted.
 *
 * INVARIANTS
 * - What is in one lane runs one after the other, lanes run side by side; nothing else decides what meets what.
 * - The output of each job appears whole, when the job has ended.
 * - A job that ends badly counts as a failure, whatever its report says; so does one without a report.
 * - What failed, or could not run here, is told once more at the end, where somebody who sees only the last lines finds it.
 * - What waits for real programs gets a second try, alone on the machine, when all else is over; that it needed one is told, too.
 *   Proofs of safety (simulator, chaos) and what computes (verify, unit) get none.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { capture, killAll } from './test/capture.mjs';
import { amended, countsOf, failedFiles, failuresOf } from './test/report.mjs';
import { CHECKS, LANES, SUITES, vitestArgs, whyNot } from './test/suites.mjs';

const asked = process.argv.slice(2);
const wanted = (name) => asked.length === 0 || asked.includes(name);
const unknown = asked.filter((name) => name !== 'verify' && !(name in SUITES));
if (unknown.length > 0) {
  console.error(`unknown suite ${unknown.join(', ')}; there are: verify, ${Object.keys(SUITES).join(', ')}`);
  process.exit(2);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => interrupted(signal));

const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
const missing = [];
const secondTries = [];
const add = (counts) => Object.keys(total).forEach((key) => (total[key] += counts[key]));
const one = (key) => ({ passed: 0, failed: 0, skipped: 0, [key]: 1 });

await Promise.all(
  LANES.map(async (lane) => {
    for (const name of lane.filter(wanted)) await (name === 'verify' ? verify() : suite(name));
  }),
);
for (const { name, report } of secondTries) await secondTry(name, report);
for (const text of missing) console.log(`\nSKIPPED: ${text}`);
for (const text of failures) console.log(`\nFAILED: ${text}`);
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 && total.passed > 0 ? 0 : 1);

async function verify() {
  for (const [name, command] of Object.entries(CHECKS)) {
    console.log(`begins: ${name}`);
    const { ok, text, seconds } = await capture(command);
    tell(name, seconds, text);
    add(one(ok ? 'passed' : 'failed'));
    if (!ok) failures.push(name);
  }
}

async function suite(name) {
  const reason = whyNot(name);
  if (reason !== null) {
    missing.push(`the ${name} suite cannot run here: ${reason}`);
    return add(one('skipped'));
  }
  const { ok, report } = await vitest(name);
  if (SUITES[name].secondTry && report !== null && failedFiles(report).length > 0)
    secondTries.push({ name, report });
  else settle(name, ok, report);
}

/** What failed beside others is run again alone, file by file. */
async function secondTry(name, first) {
  const { ok, report } = await vitest(`${name}, second try`, {
    ...SUITES[name],
    paths: failedFiles(first),
    workers: 1,
  });
  for (const text of failuresOf(first)) console.log(`\nFAILED AT THE FIRST TRY: ${text}`);
  settle(name, ok, report && amended(first, report));
}

function settle(name, ok, report) {
  if (report === null) {
    failures.push(`the ${name} suite left no report`);
    return add(one('failed'));
  }
  const [counts, failed] = [countsOf(report), failuresOf(report)];
  add({ ...counts, failed: ok ? counts.failed : Math.max(1, counts.failed) });
  failures.push(...(ok || failed.length > 0 ? failed : [`the ${name} suite ended badly`]));
}

/** @returns what vitest says of it; no report when it left none */
async function vitest(name, which = SUITES[name]) {
  console.log(`begins: ${name}`);
  const directory = await mkdtemp(join(tmpdir(), 'cmt-test-'));
  const file = join(directory, 'report.json');
  try {
    const { ok, text, seconds } = await capture(['npx', 'vitest', 'run', ...vitestArgs(which, file)]);
    tell(name, seconds, text);
    return { ok, report: JSON.parse(await readFile(file, 'utf8').catch(() => 'null')) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function tell(name, seconds, text) {
  console.log(`\n== ${name} (${Math.round(seconds)} s)\n${text.trimEnd()}`);
}

/** Labs and daemons are taken down by the suites themselves, which get the signal too. */
async function interrupted(signal) {
  await killAll(signal);
  process.exit(130);
}
