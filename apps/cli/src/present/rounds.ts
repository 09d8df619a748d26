/** The rounds of pre-copy, and the dump inside the blackout, as a table. */
import { PAGE_BYTES, type DumpFigures, type PreCopy, type RoundFigures } from '@cmt/contracts';
import type { Paint } from './paint.ts';
import { table } from './table.ts';
import { size, time } from './units.ts';

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
      { title: 'WRITTEN', cell: ({ pagesWritten }) => size(pagesWritten * PAGE_BYTES) },
      { title: 'UNCHANGED', cell: ({ pagesSkipped }) => size(pagesSkipped * PAGE_BYTES) },
      { title: 'SENT', cell: ({ bytesSent }) => size(bytesSent) },
      { title: 'LEFT', cell: ({ dirtyBytes }) => (dirtyBytes == null ? '' : size(dirtyBytes)) },
      { title: 'TIME', cell: ({ ms }) => (ms === undefined ? '' : time(ms)) },
      { title: 'STOOD STILL', cell: ({ freezingMs, frozenMs }) => time(freezingMs + frozenMs) },
    ],
    paint,
  );
}
