/** The rounds of pre-copy, and the dump inside the blackout, as a table. */
import type { DumpFigures, PreCopy, RoundFigures } from '@cmt/contracts';
import type { Paint } from './paint.ts';
import { table } from './table.ts';
import { size, time } from './units.ts';

const PAGE = 4096;

interface RoundRow extends DumpFigures, Pick<RoundFigures, 'dirtyBytes'> {
  readonly name: string;
}

export function roundsText({ rounds, final }: PreCopy, paint: Paint): string {
  const rows: RoundRow[] = [
    ...rounds.map((round, n) => ({ ...round, name: String(n + 1) })),
    ...(final === null ? [] : [{ ...final, name: 'final' }]),
  ];
  return table(
    rows,
    [
      { title: 'ROUND', cell: ({ name }) => name },
      { title: 'WRITTEN', cell: ({ pagesWritten }) => size(pagesWritten * PAGE) },
      { title: 'UNCHANGED', cell: ({ pagesSkipped }) => size(pagesSkipped * PAGE) },
      { title: 'SENT', cell: ({ bytesSent }) => size(bytesSent) },
      { title: 'LEFT', cell: ({ dirtyBytes }) => (dirtyBytes == null ? '' : size(dirtyBytes)) },
      { title: 'TIME', cell: ({ ms }) => (ms === undefined ? '' : time(ms)) },
      { title: 'STOOD STILL', cell: ({ freezingMs, frozenMs }) => time(freezingMs + frozenMs) },
    ],
    paint,
  );
}
