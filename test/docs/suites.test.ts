/** `npm test` forgets nobody: every test file is in one suite, every suite in one lane. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';

interface Suites {
  readonly SUITES: Readonly<Record<string, { readonly paths: string[]; readonly not?: string[] }>>;
  readonly LANES: readonly (readonly string[])[];
}

const root = join(import.meta.dirname, '../..');
const { SUITES, LANES } = (await import(pathToFileURL(join(root, 'scripts/test/suites.mjs')).href)) as Suites;

const testFiles = ['libs', 'apps', 'test'].flatMap((top) =>
  readdirSync(join(root, top), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts') && !/node_modules|dist/.test(path))
    .map((path) => join(top, path)),
);
/** As vitest chooses: a file whose path has the word in it. */
const suitesOf = (file: string): string[] =>
  Object.entries(SUITES)
    .filter(([, { paths, not = [] }]) => paths.some((path) => file.includes(path)) && !not.includes(file))
    .map(([name]) => name);

it('has every test file in one suite', () => {
  expect(testFiles.length).toBeGreaterThan(100);
  expect(testFiles.filter((file) => suitesOf(file).length !== 1)).toEqual([]);
});

it('has every suite in one lane', () => {
  expect(LANES.flat().sort()).toEqual(['verify', ...Object.keys(SUITES)].sort());
});
