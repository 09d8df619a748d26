/** What speaks against a move, and the verdict. */
import type { Finding, MigrationReport } from '@cmt/contracts';
import { oneLine, type Paint } from './paint.ts';
import { table } from './table.ts';

const WEIGHT = { hard: 0, soft: 1, note: 2 } as const;

export function findingsText(findings: readonly Finding[], paint: Paint): string {
  const sorted = [...findings].sort((a, b) => WEIGHT[a.severity] - WEIGHT[b.severity]);
  const heavy = { hard: paint.red, soft: paint.yellow, note: paint.dim };
  const rows = table(
    sorted,
    [
      {
        title: 'WEIGHT',
        cell: ({ severity }) => severity,
        paint: (text, { severity }) => heavy[severity](text),
      },
      { title: 'FINDING', cell: ({ code }) => code },
      { title: 'HOST', cell: ({ host }) => host },
      { title: 'WHAT', cell: ({ message }) => message },
    ],
    paint,
  ).split('\n');
  const [head = '', ...body] = rows;
  const withRemedies = sorted.flatMap(({ remedy }, at) => [
    body[at] ?? '',
    ...(remedy ? [`        ${paint.dim('->')} ${oneLine(remedy)}`] : []),
  ]);
  return [head, ...withRemedies].map((line) => `${line}\n`).join('');
}

/** The answer of `cmt validate`. */
export function verdictText(report: MigrationReport, paint: Paint): string {
  const { container, from, to, findings, state, roundsNote } = report;
  const counted = (severity: Finding['severity']) =>
    findings.filter((found) => found.severity === severity).length;
  const found = findings.length > 0 ? findingsText(findings, paint) : '';
  const note = roundsNote ? `${oneLine(roundsNote)}\n` : '';
  const counts = findings.length > 0 ? `: ${counted('hard')} hard, ${counted('soft')} soft` : '';
  const verdict =
    state === 'validated'
      ? paint.green(`${container} can move from ${from} to ${to}.`)
      : paint.red(`${container} cannot move from ${from} to ${to}${counts}.`);
  return `${found}${note}${verdict}\n`;
}
