/** What `cmt resolve` says before anything is done: what is known, what will be done, what can go wrong. */
import { messageOf, type MigrationReport } from '@cmt/contracts';
import type { FleetHost } from './fleet.ts';
import { oneLine, type Paint } from './paint.ts';
import { time } from './units.ts';

/** A migration that waits for an operator's word, and all that is known about it. */
export interface Standstill {
  readonly report: MigrationReport;
  /** Of the stored migration: an order about any other is refused. */
  readonly version: number;
  /** What stands in the write-once record of its epoch. */
  readonly decision: string | null;
  /** The host that is said to be fenced. */
  readonly fenced: string;
  /** As they were last heard of; null for one that was forgotten. */
  readonly source: FleetHost | null;
  readonly target: FleetHost | null;
}

export const isOnline = ({ report, fenced, source, target }: Standstill): FleetHost | null => {
  const host = fenced === report.from ? source : target;
  return host?.state === 'online' ? host : null;
};

/** For standard error, before the explicit word. */
export function standstillText(still: Standstill, now: number, paint: Paint): string {
  const { report, decision, source, target } = still;
  const { id, container, from, to, epoch, failure, steps } = report;
  const facts: [string, string][] = [
    ['why', failure === null ? 'unknown' : `${failure.code}: ${oneLine(messageOf(failure))}`],
    ['decision', `${decision ?? 'none on record'} (epoch ${epoch})`],
    ['last step', lastStep(steps)],
    [from, `source, ${hostText(source, id, now)}`],
    [to, `target, ${hostText(target, id, now)}`],
  ];
  const width = Math.max(...facts.map(([name]) => name.length)) + 2;
  const known = facts.map(([name, value]) => `  ${name.padEnd(width)}${value}\n`).join('');
  return [
    `${paint.bold(id)} waits for you: ${container}, ${from} -> ${to}\n${known}`,
    `\nYou say that ${paint.bold(still.fenced)} is fenced: powered off or cut off for good. cmt cannot check that.\n`,
    `\ncmt will then\n${lines(plans(still))}`,
    `\nWhat can go wrong\n${lines(dangers(still))}`,
    ...(isOnline(still) ? [`\n${paint.red(onlineText(still))}\n`] : []),
  ].join('');
}

const lines = (texts: readonly string[]): string => texts.map((text) => `  - ${text}\n`).join('');

function lastStep(steps: MigrationReport['steps']): string {
  const last = steps.at(-1);
  return last === undefined ? 'none' : `${last.name} on ${last.host}, ${last.ok ? 'ok' : 'failed'}`;
}

function hostText(host: FleetHost | null, migration: string, now: number): string {
  if (host === null) return 'never heard of';
  const { journal: notes, seenAt } = host.record;
  const entry = notes?.find((note) => note.migration === migration && !note.closed);
  const journal =
    entry === undefined
      ? 'its journal named no open hand-over then'
      : `its journal said ${entry.phase} then (epoch ${entry.epoch}, since ${time(Math.max(0, seenAt - entry.updatedAt))})`;
  return `${host.state}, last heard of ${time(Math.min(host.ageMs, now))} ago; ${journal}`;
}

function plans({ report, fenced }: Standstill): string[] {
  const { container, from, to } = report;
  const first = 'put your word on record, for both hosts to obey';
  if (fenced === to)
    return [
      first,
      `let the frozen copy on ${from} run on, from where it was frozen`,
      `clean up on ${from}; ${to} cleans up by itself when it is back`,
    ];
  return [
    first,
    `let the held copy of ${container} on ${to} run, and see that it lives`,
    `clean up on ${to}; ${from} throws its frozen copy away when it is back`,
  ];
}

function dangers({ report, fenced, decision }: Standstill): string[] {
  const { container, from, to } = report;
  const two = `if the copy on ${fenced} runs, or comes to run, there are two of ${container}: under one address, with files and clients of their own. Nothing repairs that.`;
  if (fenced === from) return [two, `if ${to} holds no copy, nothing is changed, and you are told.`];
  const known = decision === 'COMMIT' ? 'COMMIT is on record: a copy' : 'a copy';
  return [two, `${known} may have run on ${to}: what it did there since is lost.`];
}

const onlineText = ({ report: { id }, fenced }: Standstill): string =>
  `WARNING: ${fenced} announced itself only just now. A fenced host does not do that. Look again before you resolve ${id}.`;
