import type { Decision } from '@cmt/contracts';
import { expect, test } from 'vitest';
import type { Phase } from './journal.ts';
import { claimOf, type Claim } from './settle.ts';

test.each<[Phase, Decision | null, Claim]>([
  ['SENDING', null, 'wait'],
  ['FROZEN', null, 'wait'],
  ['FROZEN', 'ABORT', 'wait'],
  ['FROZEN', 'COMMIT', 'wait'],
  ['RESUMED', 'ABORT', 'resume'],
  ['RETIRED', 'COMMIT', 'retire'],
  ['PREPARED', null, 'wait'],
  ['HELD', null, 'wait'],
  ['HELD', 'ABORT', 'discard'],
  ['HELD', 'COMMIT', 'release'],
  ['COMMITTED', null, 'release'],
  ['COMMITTED', 'ABORT', 'release'],
  ['RUNNING', 'COMMIT', 'wait'],
  ['DISCARDED', null, 'discard'],
])('%s with %s on record: %s', (phase, decision, claim) => {
  expect(claimOf({ phase }, decision)).toBe(claim);
});
