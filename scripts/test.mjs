/** Runs the suites one after the other and adds up what they counted. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CHECKS = {
  types: ['npx', 'nx', 'run-many', '-t', 'typecheck', '--outputStyle=static'],
  'types of the tests': ['npx', 'tsc', '-p', 'tsconfig.json'],
  lint: ['npm', 'run', '--silent', 'lint'],
  boundaries: ['npm', 'run', '--silent', 'boundaries'],
  format: ['npm', 'run', '--silent', 'format:check'],
};
const SUITES = {
  unit: ['libs', 'apps', 'test/chaos'],
  integration: ['test/integration', 'test/docs', 'test/chaos'],
  simulator: ['test/simulator'],
  board: ['test/board', '--no-file-parallelism'],
  live: ['test/live', '--no-file-parallelism'],
};

const asked = process.argv.slice(2);
const wanted = (name) => asked.length === 0 || asked.includes(name);
const unknown = asked.filter((name) => name !== 'verify' && !(name in SUITES));
if (unknown.length > 0) {
  console.error(`unknown suite ${unknown.join(', ')}; there are: verify, ${Object.keys(SUITES).join(', ')}`);
  process.exit(2);
}

const env = {
  ...process.env,
  NX_DAEMON: 'false',
  NX_NO_CLOUD: 'true',
  NX_TUI: 'false',
  CI: process.env.CI ?? 'true',
};
const run = ([program, ...args]) =>
  spawnSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'], env }).status === 0;

const total = { passed: 0, failed: 0, skipped: 0 };
const add = (counts) => Object.keys(total).forEach((key) => (total[key] += counts[key]));

if (wanted('verify'))
  for (const [name, command] of Object.entries(CHECKS)) {
    console.log(`\n== ${name}`);
    const ok = run(command);
    add({ passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 });
  }

for (const [name, args] of Object.entries(SUITES)) {
  if (!wanted(name)) continue;
  console.log(`\n== ${name}`);
  const reason = { live: whyNoLive, board: whyNoBoard }[name]?.() ?? null;
  if (reason !== null) {
    console.log(`SKIPPED: the ${name} suite cannot run here: ${reason}`);
    add({ passed: 0, failed: 0, skipped: 1 });
    continue;
  }
  add(suite(args));
}

console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 && total.passed > 0 ? 0 : 1);

/** Runs vitest; a run that leaves no report counts as one failure. */
function suite(args) {
  const directory = mkdtempSync(join(tmpdir(), 'cmt-test-'));
  const report = join(directory, 'report.json');
  try {
    const ok = run([
      'npx',
      'vitest',
      'run',
      ...args,
      '--reporter=default',
      '--reporter=json',
      `--outputFile=${report}`,
    ]);
    const counted = JSON.parse(readFileSync(report, 'utf8'));
    const failed =
      counted.numFailedTests +
      counted.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0)
        .length;
    return {
      passed: counted.numPassedTests,
      failed: ok ? failed : Math.max(1, failed),
      skipped: counted.numPendingTests + counted.numTodoTests,
    };
  } catch (error) {
    console.error(`the suite left no report: ${error.message}`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Live tests need root and namespaces; null when both are there. */
function whyNoLive() {
  if (process.platform !== 'linux') return 'CRIU is for Linux';
  if (process.getuid() !== 0) return 'it needs root';
  const namespaces = spawnSync('unshare', ['-m', '-p', '-n', '-u', '-i', '-C', '--fork', 'true']);
  return namespaces.status === 0 ? null : `no namespaces: ${namespaces.stderr}`;
}

/** The board's pages are tested in Debian's Chromium, which the setup installs; null when it is there. */
function whyNoBoard() {
  return existsSync('/usr/bin/chromium') ? null : '/usr/bin/chromium is missing';
}
