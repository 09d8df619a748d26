/** docs/errors.md is the catalogue. Write it anew with `npx tsx scripts/docs.mjs`. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { catalogue } from '@cmt/contracts';
import { errorsPage } from '../../apps/cli/src/present/errors-page.ts';

describe('docs/errors.md', () => {
  it('is the catalogue', () => {
    const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
    expect(page).toBe(errorsPage());
  });
});

describe.each(Object.entries(catalogue))('%s', (_, { message, remedy }) => {
  it('is a sentence with a remedy', () => {
    expect(message).toMatch(/^.+\.$/s);
    expect(remedy).not.toBe('');
  });
});
