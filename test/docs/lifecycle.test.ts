import { plan, undoPlan, type Row } from '@cmt/saga';
import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';

const page = new URL('../../docs/lifecycle.md', import.meta.url);

function table(rows: readonly Row[]): string {
  const lines = rows.map(
    (row, index) =>
      `| ${index + 1} | ${row.kind === 'hook' ? `hook \`${row.name}\`` : `\`${row.name}\``} | ${row.side} | ${row.undo === null ? '' : `\`${row.undo}\``} | ${row.blackout ? 'yes' : ''} | ${row.does} |`,
  );
  return [
    '| # | row | side | undo | in the blackout | does |',
    '| --- | --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

const filled = (text: string): string =>
  [['plan', plan] as const, ['undo', undoPlan] as const].reduce(
    (page, [name, rows]) =>
      page.replace(
        new RegExp(`<!-- ${name} -->[\\s\\S]*<!-- /${name} -->`),
        () => `<!-- ${name} -->\n\n${table(rows)}\n\n<!-- /${name} -->`,
      ),
    text,
  );

describe('docs/lifecycle.md', () => {
  it('shows the plan as the saga has it (CMT_WRITE_DOCS=1 writes it)', async () => {
    const text = await readFile(page, 'utf8');
    if (process.env['CMT_WRITE_DOCS'] === '1') await writeFile(page, filled(text));
    expect(await readFile(page, 'utf8')).toBe(filled(text));
  });
});
