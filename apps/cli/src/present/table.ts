/** Columns for people: left aligned, two spaces between, as wide as the widest cell. */
import { oneLine, type Paint } from './paint.ts';

/** One column: its heading, and its cell in a row. `paint` colours a cell after it was padded. */
export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  readonly paint?: (text: string, row: Row) => string;
}

/** Lines joined by line breaks, the last one included. */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[], paint: Paint): string {
  const cells = rows.map((row) => columns.map((column) => oneLine(column.cell(row))));
  const widths = columns.map(({ title }, at) =>
    Math.max(title.length, ...cells.map((line) => line[at]?.length ?? 0)),
  );
  const last = columns.length - 1;
  const padded = (text: string, at: number): string => (at === last ? text : text.padEnd(widths[at] ?? 0));
  const head = columns.map(({ title }, at) => padded(title, at)).join('  ');
  const body = rows.map((row, line) =>
    columns
      .map(({ paint: own }, at) => {
        const text = padded(cells[line]?.[at] ?? '', at);
        return own ? own(text, row) : text;
      })
      .join('  ')
      .trimEnd(),
  );
  return [paint.dim(head.trimEnd()), ...body].map((line) => `${line}\n`).join('');
}
