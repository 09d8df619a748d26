/** Verdicts on targets, and proposed moves, in tables. */
import type { Proposal, Verdict } from '@cmt/fleet';
import type { Paint } from './paint.ts';
import { table } from './table.ts';
import { share, size } from './units.ts';

export const targetsText = (verdicts: readonly Verdict[], paint: Paint): string =>
  table(
    verdicts,
    [
      { title: 'HOST', cell: ({ host }) => host },
      {
        title: 'VERDICT',
        cell: ({ fits, busy }) => (fits ? (busy ? 'fits, has to wait' : 'fits') : 'no'),
        paint: (text, { fits, busy }) =>
          fits ? (busy ? paint.yellow(text) : paint.green(text)) : paint.red(text),
      },
      { title: 'SCORE', cell: ({ score }) => (score === null ? '-' : String(score)) },
      {
        title: 'MEMORY AFTER',
        cell: ({ memoryAfter }) => (memoryAfter === null ? '?' : size(Math.max(0, memoryAfter))),
      },
      { title: 'REASONS', cell: ({ reasons }) => reasons.map(({ text }) => text).join('; ') },
    ],
    paint,
  );

export const proposalsText = (proposals: readonly Proposal[], paint: Paint): string =>
  table(
    proposals,
    [
      { title: 'CONTAINER', cell: ({ container }) => container },
      { title: 'FROM', cell: ({ from, fromUse }) => `${from} (${use(fromUse)})` },
      { title: 'TO', cell: ({ to, toUse }) => `${to} (${use(toUse)})` },
      { title: 'MEMORY', cell: ({ memory }) => size(memory) },
    ],
    paint,
  );

const use = ([before, after]: Proposal['fromUse']): string => `${share(before, 1)} -> ${share(after, 1)}`;
