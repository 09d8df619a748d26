/** The rows of the plan in the order in which one migration passes them, forward and on its way back. Pure. */
import { plan, undoPlan, type Row } from '@cmt/saga';

/**
 * How a migration is asked for. `plain`: both legs of the blackout at once. `hooked`: a hook at every place, so the
 * blackout is in three parts. `back`: its pre-restore hook refuses, so the way back is taken.
 */
export type Way = 'plain' | 'hooked' | 'back';

export const WHENS = ['before', 'during', 'after'] as const;
export type When = (typeof WHENS)[number];

/** A row as one way passes it. */
export interface Station {
  readonly way: Way;
  readonly row: Row;
  /** The row that ends just before this one begins; null at the very beginning. */
  readonly previous: Row | null;
  /** Nothing has been made yet: a failure here ends as refused. */
  readonly untouched: boolean;
  /** The record may say COMMIT once this row has begun. */
  readonly mayBeDecided: boolean;
  /** The record says COMMIT before this row begins. */
  readonly isDecided: boolean;
}

/** Without dirty tracking in the kernel there are no rounds, and no migration passes this row. */
const passed = (row: Row): boolean => row.name !== 'pre-dump';
const forward = plan.filter(passed);

const rowsOf: Readonly<Record<Way, readonly Row[]>> = {
  plain: forward.filter(({ kind }) => kind === 'step'),
  hooked: forward,
  back: undoPlan,
};

/** All rows of a way. */
export function stationsOf(way: Way): readonly Station[] {
  const rows = rowsOf[way];
  const decision = rows.findIndex(({ name }) => name === 'release');
  return rows.map((row, n) => ({
    way,
    row,
    previous: n > 0 ? (rows[n - 1] ?? null) : way === 'back' ? rowNamed('pre-restore') : null,
    untouched: way !== 'back' && n < rows.findIndex(({ name }) => name === 'prepare'),
    mayBeDecided: way !== 'back' && n >= decision - 1,
    isDecided: way !== 'back' && n > decision,
  }));
}

function rowNamed(name: string): Row {
  const row = plan.find((each) => each.name === name);
  if (row === undefined) throw new Error(`the plan has no row ${name}`);
  return row;
}
