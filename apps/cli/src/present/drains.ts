/** A drain: how it stands, and each of its containers with where it went or why it stays. */
import { messageOf, remedyOf, type DrainMove, type DrainReport } from '@cmt/contracts';
import { oneLine, type Paint } from './paint.ts';
import { table } from './table.ts';
import { size, time } from './units.ts';

export function drainText(report: DrainReport, paint: Paint): string {
  const { moves, startedAt, endedAt } = report;
  const took = endedAt === null ? '' : ` (${time(endedAt - startedAt)})`;
  const head = `${paint.bold(report.host)}: ${drainWords(report)}${took}\n`;
  if (moves.length === 0) return head;
  const stays = moves.flatMap(({ failure, state }) =>
    state === 'stays' && failure ? [remedyOf(failure)] : [],
  );
  const remedies = [...new Set(stays)].map((text) => `  ${paint.dim('->')} ${oneLine(text)}\n`);
  return `${head}${movesText(moves, paint)}${remedies.join('')}`;
}

/** One phrase on how it stands. */
export function drainWords({ kind, state, moves }: Pick<DrainReport, 'kind' | 'state' | 'moves'>): string {
  const left = moves.filter((move) => move.state === 'left').length;
  const count = `${left} of ${moves.length}`;
  const verb = kind === 'drain' ? 'left' : 'came back';
  switch (state) {
    case 'queued':
      return kind === 'drain' ? 'to be drained' : 'to get its containers back';
    case 'running':
      return kind === 'drain' ? `draining, ${count} ${verb}` : `filling, ${count} ${verb}`;
    case 'done':
      return kind === 'drain' ? `drained, ${count} ${verb}` : `${count} ${verb}`;
    case 'incomplete':
      return `${kind === 'drain' ? 'drained, but only ' : 'only '}${count} ${verb}`;
    case 'refused':
      return 'refused, nothing was begun';
    case 'stopped':
      return `stopped, ${count} ${verb}`;
  }
}

const movesText = (moves: readonly DrainMove[], paint: Paint): string =>
  table(
    moves,
    [
      { title: 'CONTAINER', cell: ({ container }) => container },
      { title: 'MEMORY', cell: ({ memory }) => (memory === null ? '?' : size(memory)) },
      {
        title: 'STATE',
        cell: ({ state }) => state,
        paint: (text, { state }) =>
          state === 'left' ? paint.green(text) : state === 'stays' ? paint.red(text) : text,
      },
      { title: 'FROM', cell: ({ from }) => from },
      { title: 'TO', cell: ({ to }) => to ?? '-' },
      { title: 'MIGRATION', cell: ({ migration }) => migration ?? '-' },
      { title: 'WHY', cell: ({ failure }) => (failure ? `${failure.code}: ${messageOf(failure)}` : '') },
    ],
    paint,
  );

/** One move as a line of a log. */
export function moveLine({ container, state, from, to, migration, failure }: DrainMove): string {
  const way = to === null ? `from ${from}` : `${from} -> ${to}`;
  const by = migration === null ? '' : ` (${migration})`;
  return oneLine(`${container}: ${state}, ${way}${by}${failure ? `: ${messageOf(failure)}` : ''}`);
}
