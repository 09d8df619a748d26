/** Programs of the tests, bundled as cmt's own are (scripts/build.mjs): for where there is no checkout, and without what tsx costs. */
import { build } from 'esbuild';

/** @param entry source of the program @param outfile where it is put, with all it needs in one file */
export async function bundle(entry: string, outfile: string): Promise<void> {
  await build({
    ...{ entryPoints: [entry], outfile },
    ...{ bundle: true, platform: 'node', target: 'node20', format: 'esm', logLevel: 'error' },
    // What is bundled of CommonJS uses `require` and `__dirname`, which an ES module does not have.
    banner: {
      js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url); globalThis.__dirname ??= import.meta.dirname;`,
    },
    // Optional, and looked for.
    external: ['cpu-features', '*.node', 'msgpackr-extract', 'pg', 'redis', 'pino-pretty'],
  });
}
