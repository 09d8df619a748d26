/**
 * Watches the copies of one container from outside: `witness-process HOST=CGROUP...`.
 *
 * A process of its own, so that nothing else delays its samples. A line on standard input is answered with a
 * line of JSON (CopiesReport); so is the end of standard input, and then it ends.
 */
import { createInterface } from 'node:readline';
import { Copies } from './copies.ts';
import { readCopyState } from './copy-state.ts';

/** Milliseconds between samples: far below the shortest freeze, some percent of one core. */
const EVERY_MS = 4;

const cgroups = process.argv.slice(2).map((argument) => argument.split('=', 2) as [string, string]);
const copies = new Copies();
const now = (): number => performance.timeOrigin + performance.now();

function look(): void {
  copies.sample(now(), Object.fromEntries(cgroups.map(([host, cgroup]) => [host, readCopyState(cgroup)])));
}

const print = (): void => void process.stdout.write(`${JSON.stringify(copies.report())}\n`);

setInterval(look, EVERY_MS);
look();
createInterface({ input: process.stdin })
  .on('line', print)
  .on('close', () => {
    look();
    print();
    process.exit();
  });
