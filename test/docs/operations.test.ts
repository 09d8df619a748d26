/** docs/operations.md tells an operator about every end, and about every code that waits for one. */
import { readFileSync } from 'node:fs';
import { catalogue, ErrorCode, MigrationState } from '@cmt/contracts';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../../apps/cli/src/program.ts';

const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');

const firstCell = (word: string): RegExp => new RegExp(`^\\| \`${word}\` +\\|`, 'm');
/** What stands in code, inline or in blocks. */
const code = [...page.matchAll(/```sh\n([^]*?)```|`([^`\n]+)`/g)]
  .map(([, block, inline]) => block ?? inline)
  .join('\n');

describe('docs/operations.md', () => {
  it.each(MigrationState.options)('explains the state %s', (state) => {
    expect(page).toMatch(firstCell(state));
  });

  const operators = ErrorCode.options.filter((known) => catalogue[known].reaction === 'operator');
  it.each(operators)('says what to do about %s', (waiting) => {
    expect(page).toMatch(firstCell(waiting));
  });

  it('names no code, verb or flag that there is not', () => {
    const codes = [...code.matchAll(/^[A-Z]+_[A-Z_]+$/gm)].map(([word]) => word);
    const isVariable = (word: string) => /^(CMT|OTEL)_/.test(word);
    const unknown = codes.filter((word) => !isVariable(word));
    expect(unknown.filter((word) => !ErrorCode.options.some((known) => known === word))).toEqual([]);
    const verbs = buildProgram('').commands;
    const used = [...code.matchAll(/^cmt ([a-z]+)((?: [A-Z]+)*(?: --[a-z-]+)*)/gm)];
    for (const [whole, name, rest] of used) {
      const verb = verbs.find((each) => each.name() === name);
      if (verb === undefined) throw new Error(`${whole}: there is no such verb`);
      const flags = [...(rest ?? '').matchAll(/--[a-z-]+/g)].map(([flag]) => flag);
      for (const flag of flags) expect(verb.options.map(({ long }) => long)).toContain(flag);
    }
  });
});
