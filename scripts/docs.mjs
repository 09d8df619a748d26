/** Writes docs/cli.md and docs/errors.md from the code: `npx tsx scripts/docs.mjs`. */
import { writeFileSync } from 'node:fs';
import { errorsPage } from '../apps/cli/src/present/errors-page.ts';
import { manualPage } from '../apps/cli/src/present/manual.ts';
import { buildProgram } from '../apps/cli/src/program.ts';

const page = (name) => new URL(`../docs/${name}`, import.meta.url);
writeFileSync(page('cli.md'), manualPage(buildProgram('')));
writeFileSync(page('errors.md'), errorsPage());
