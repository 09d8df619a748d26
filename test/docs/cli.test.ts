/** docs/cli.md says what `cmt --help` says. Write it anew with `npx tsx scripts/docs.mjs`. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { manualPage } from '../../apps/cli/src/present/manual.ts';
import { buildProgram } from '../../apps/cli/src/program.ts';
import { examplesOf } from '../../apps/cli/src/verb.ts';

const program = buildProgram('');
const verbs = program.commands.flatMap((verb) => [
  ...(examplesOf(verb).length > 0 ? [verb] : []),
  ...verb.commands,
]);

describe('docs/cli.md', () => {
  it('is what the command tree says', () => {
    const page = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
    expect(page).toBe(manualPage(program));
  });
});

describe.each(verbs.map((verb) => [verb.name(), verb] as const))('cmt %s', (_, verb) => {
  it('has a description and examples', () => {
    expect(verb.description()).not.toBe('');
    expect(examplesOf(verb).length).toBeGreaterThan(0);
  });

  it('has a meaning for every argument and flag', () => {
    for (const { description } of [...verb.registeredArguments, ...verb.options])
      expect(description).not.toBe('');
  });
});
