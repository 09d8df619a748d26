/**
 * The worker of the target killed with SIGKILL at every row of the plan in which it has work, and started again: the migration
 * ends, finished or rolled back, without help, and the container and its connections never notice more than a pause.
 */
import { plan } from '@cmt/saga';
import { describe, test } from 'vitest';
import { useWanderer } from '../support/wanderer.ts';

const LIMIT = { timeout: 180_000 };
/** Without dirty tracking in the kernel there is no pre-dump. */
const its = plan.filter(
  ({ name, kind, side }) => kind === 'step' && name !== 'pre-dump' && (side === 'target' || side === 'both'),
);
const crashAt = useWanderer('crash');

describe('SIGKILL to the worker of the target', () => {
  test.each(its.map((row) => [row.name, row] as const))('at %s', LIMIT, (_, row) => crashAt(row, 'target'));
});
