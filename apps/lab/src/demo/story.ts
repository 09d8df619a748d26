/** The demo's words: pure, plain text, one line each. */
import type { Blackout, MigrationReport } from '@cmt/contracts';
import type { Lab } from '../lab.ts';
import { complaints, type Observed } from './result.ts';

export const opening = (): string =>
  'cmt moves a running Redis, with a live client, from one host to another and back\n\n';

export const labLine = (lab: Lab, ms: number): string =>
  fact('hosts', lab.hosts.map(({ name, address }) => `${name} (${address})`).join(', '), ms);

export const redisLine = (address: string, mebibytes: number, ms: number): string =>
  fact('container', `redis-server with I/O threads at ${address} on host1, ${mebibytes} MiB in memory`, ms);

export const clientLine = (gateway: string): string =>
  fact('client', `counts without pause from ${gateway}, on one TCP connection`);

/** One migration: every step with its time, the blackout with its shares, and what the client noticed. */
export function migrationText(report: MigrationReport, clientGapMs: number): string {
  const { from, to, state, totalMs, blackout, roundsNote, message, steps } = report;
  const width = Math.max(...steps.map(({ name }) => name.length));
  const lines = steps.map(
    ({ name, host, ms, ok }) =>
      `    ${name.padEnd(width)}  ${time(ms).padStart(9)}  ${host}${ok ? '' : '  FAILED'}`,
  );
  return [
    `\n  ${from} -> ${to}: ${state} in ${time(totalMs)}`,
    ...lines,
    ...(message === null ? [] : [`    ${message}`]),
    ...(roundsNote === null ? [] : [`  pre-dump rounds ${report.rounds}: ${roundsNote}`]),
    ...(blackout ? blackoutLines(blackout) : []),
    `  the client waited ${time(clientGapMs)} at most`,
    '',
  ].join('\n');
}

function blackoutLines(blackout: Blackout): string[] {
  const { totalMs, pauseMs, dumpMs, transferMs, filesMs, restoreMs, criuMs, ownMs } = blackout;
  const parts = { pause: pauseMs, dump: dumpMs, transfer: transferMs, files: filesMs, restore: restoreMs };
  const shares = Object.entries(parts).map(([name, ms]) => `${name} ${time(ms)}`);
  const percent = (ms: number): string => `${Math.round((100 * ms) / Math.max(totalMs, 1))} %`;
  return [
    `  blackout ${time(totalMs)}: ${shares.join(', ')}`,
    `  of which CRIU ${time(criuMs)} (${percent(criuMs)}), cmt itself ${time(ownMs)} (${percent(ownMs)})`,
  ];
}

/** What is left to say at the end: the client's sums, the copies, and the verdict. */
export function ending(observed: Observed): string {
  const { client, copies } = observed;
  const wrong = complaints(observed);
  return [
    '',
    fact('client', `${client.operations} operations, longest gap ${time(client.longestGapMs)}`).trimEnd(),
    fact(
      'lost',
      `connections ${client.connectionsLost}, values lost or repeated ${client.wrongValues}`,
    ).trimEnd(),
    fact(
      'copies',
      `running at once: at most ${copies.copies.maxRunningAtOnce}; able to run: at least ${copies.copies.minRunnable} (${copies.samples} looks)`,
    ).trimEnd(),
    '',
    ...(wrong.length === 0 ? ['  Nothing was lost.'] : wrong.map((complaint) => `  WRONG: ${complaint}`)),
    '',
  ].join('\n');
}

/** How to go on by hand with the lab that was left up. */
export const byHand = (cmt: string): string =>
  [
    '',
    '  The lab is still up, with Redis in it on host1. Try:',
    ...[
      'hosts',
      'ps',
      'validate redis --src host1 --dst host2',
      'migrate redis --src host1 --dst host2',
      'status',
      'lab exec host2 runc list',
      'lab down',
    ].map((verb) => `    ${cmt} ${verb}`),
    '',
  ].join('\n');

const fact = (name: string, what: string, ms?: number): string =>
  `  ${name.padEnd(10)}${what}${ms === undefined ? '' : ` (${time(ms)})`}\n`;

const time = (ms: number): string => (ms < 999.5 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`);
