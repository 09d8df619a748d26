/**
 * The coordinator killed with SIGKILL at every row of the plan and started again: the migration ends, finished or rolled back,
 * without help, and the container and its connections never notice more than a pause.
 */
import { plan } from '@cmt/saga';
import { describe, test } from 'vitest';
import { useWanderer } from '../support/wanderer.ts';

const LIMIT = { timeout: 180_000 };
const HOOKS = ['pre-freeze', 'pre-restore', 'post-restore'].flatMap((name) => [
  `--hook-${name}`,
  '/bin/true',
]);

/** Rows that are passed by here; without dirty tracking in the kernel there is no pre-dump. */
const rows = plan.filter(({ name }) => name !== 'pre-dump');
const steps = rows.filter(({ kind }) => kind === 'step');
const aroundHooks = rows.filter(
  ({ name, kind }) => kind === 'hook' || name === 'restore-and-hold' || name === 'release',
);
const crashAt = useWanderer('crash');

describe('SIGKILL to the coordinator', () => {
  test.each(steps.map((row) => [row.name, row] as const))('at %s', LIMIT, (_, row) =>
    crashAt(row, 'coordinator'),
  );
  // With a pre-restore hook the coordinator itself stands between the two halves of the switch.
  test.each(aroundHooks.map((row) => [row.name, row] as const))('at %s, with hooks', LIMIT, (_, row) =>
    crashAt(row, 'coordinator', HOOKS),
  );
});
