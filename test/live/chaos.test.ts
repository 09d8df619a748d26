/**
 * A part of the kill matrix (`npm run chaos`) with every kind of fault and every row of the plan: after each fault the
 * migration has ended in a named safe state, one copy of the container was able to run all along and never two ran, and
 * nothing is left.
 */
import { beforeAll, expect, test } from 'vitest';
import { cells, representative } from '../chaos/cells.ts';
import { failureText, type Outcome } from '../chaos/report.ts';
import { runCells } from '../chaos/run-cells.ts';
import { buildCmt } from '../support/cmt.ts';

const LABS = 2;
const chosen = representative(cells);
const outcomes = new Map<string, Outcome>();

beforeAll(async () => {
  await buildCmt();
  const broken = new AbortController();
  await runCells(chosen, {
    labs: LABS,
    signal: broken.signal,
    onOutcome: (outcome) => outcomes.set(outcome.cell.name, outcome),
  });
  // Eight minutes on an idle machine of two cores; faults outlast locks, so a slow one takes little longer.
}, 20 * 60_000);

test.each(chosen.map(({ name }) => [name]))('%s', (name) => {
  const outcome = outcomes.get(name);
  expect(outcome?.verdict.complaints, outcome && failureText(outcome)).toEqual([]);
});
