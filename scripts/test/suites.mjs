/** What `npm test` runs, and what of it runs side by side. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Commands of the suite `verify`; each counts as one test. */
export const CHECKS = {
  types: ['npx', 'nx', 'run-many', '-t', 'typecheck', '--outputStyle=static'],
  'types of the tests': ['npx', 'tsc', '-p', 'tsconfig.json'],
  lint: ['npm', 'run', '--silent', 'lint'],
  boundaries: ['npm', 'run', '--silent', 'boundaries'],
  format: ['npm', 'run', '--silent', 'format:check'],
};

/**
 * Suites of vitest: `paths` as vitest takes them, `not` what another suite has of these, `workers` how many files at the
 * same time (as many as there are cores, unless told), `needs` what gives the reason why it cannot run here, or null,
 * `secondTry` whether files that failed are run again, alone.
 */
export const SUITES = {
  unit: { paths: ['libs/', 'apps/', 'test/chaos/', 'test/bench/'] },
  integration: { paths: ['test/integration', 'test/docs'], secondTry: true },
  simulator: { paths: ['test/simulator'] },
  board: { paths: ['test/board'], workers: 1, needs: whyNoBoard },
  // One file has one lab, and labs do not meet. They wait more than they work: for locks, for TCP, for processes to end.
  live: {
    paths: ['test/live'],
    not: ['test/live/chaos.test.ts'],
    workers: 2,
    needs: whyNoLive,
    secondTry: true,
  },
  chaos: { paths: ['test/live/chaos.test.ts'], workers: 1, needs: whyNoLive },
  // One machine, and what it waits for is emulated.
  kernel: { paths: ['test/kernel'], needs: whyNoKernel, secondTry: true },
};

/** Side by side; in a lane one after the other. What waits is beside what computes. */
export const LANES = [['live'], ['chaos', 'kernel'], ['verify', 'unit', 'simulator', 'integration', 'board']];

/** Why a suite cannot run on this machine; null when it can. */
export const whyNot = (name) => SUITES[name].needs?.() ?? null;

export function vitestArgs({ paths, not = [], workers }, report) {
  return [
    ...paths,
    ...not.flatMap((path) => ['--exclude', path]),
    ...(workers === undefined ? [] : ['--max-workers', `${workers}`]),
    ...['--reporter=default', '--reporter=json', `--outputFile=${report}`],
  ];
}

/** Live tests need root and namespaces. */
function whyNoLive() {
  if (process.platform !== 'linux') return 'CRIU is for Linux';
  if (process.getuid() !== 0) return 'it needs root';
  const namespaces = spawnSync('unshare', ['-m', '-p', '-n', '-u', '-i', '-C', '--fork', 'true']);
  return namespaces.status === 0 ? null : `no namespaces: ${namespaces.stderr}`;
}

/** The board's pages are tested in Debian's Chromium, which the setup installs. */
function whyNoBoard() {
  return existsSync('/usr/bin/chromium') ? null : '/usr/bin/chromium is missing';
}

/** The virtual machine is of this architecture, its lab is made by root, and the setup has got all of it. */
function whyNoKernel() {
  if (process.arch !== 'x64') return `its virtual machine is x64, this is ${process.arch}`;
  if (process.getuid() !== 0) return 'it needs root';
  if (spawnSync('qemu-system-x86_64', ['--version']).status !== 0) return 'qemu-system-x86_64 is missing';
  return existsSync('/var/cache/cmt/kernel/boot')
    ? null
    : 'the setup has got no kernel for its virtual machine';
}
