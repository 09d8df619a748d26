import { expect, it } from 'vitest';
import { allowsPostCopy, Mode } from './migration.ts';

it('a policy of post-copy counts only in modes that have rounds', () => {
  const ends = Mode.options.map((mode) => [
    mode,
    allowsPostCopy({ mode, onNoConvergence: 'switch' }),
    allowsPostCopy({ mode, onNoConvergence: 'post-copy' }),
  ]);
  expect(ends).toEqual([
    ['auto', false, true],
    ['stop-and-copy', false, false],
    ['pre-copy', false, true],
    ['post-copy', true, true],
    ['hybrid', true, true],
  ]);
});
