/** The CLI loads the other apps by file; here their real types meet what it expects of them. */
import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type * as board from '../../apps/board/src/main.ts';
import type * as coordinator from '../../apps/coordinator/src/main.ts';
import type { BoardApp, CoordinatorApp, LabApp, WorkerApp } from '../../apps/cli/src/apps.ts';
import type * as lab from '../../apps/lab/src/main.ts';
import type * as worker from '../../apps/worker/src/main.ts';
import { buildCmt, exportsOf, inCheckout } from '../support/cmt.ts';

type Fits<App, Expected> = App extends Expected ? true : never;
/** Fails to compile when an app has changed under the CLI. */
const fits: [
  Fits<typeof coordinator, CoordinatorApp>,
  Fits<typeof worker, WorkerApp>,
  Fits<typeof board, BoardApp>,
  Fits<typeof lab, LabApp<lab.Lab>>,
] = [true, true, true, true];

const textOf = (name: string): Promise<string> => readFile(inCheckout(`dist/${name}`), 'utf8');

/** A part of the CLI, and all that is read with it. */
async function readWith(name: string, read = new Map<string, string>()): Promise<Map<string, string>> {
  if (read.has(name)) return read;
  const text = await textOf(name);
  read.set(name, text);
  for (const [, next = ''] of text.matchAll(/(?:from|import)\s*"\.\/(chunk-\w+\.js)"/g))
    await readWith(next, read);
  return read;
}

async function partThatExports(name: string): Promise<string> {
  // Of this build: parts of the one before stay for a while.
  for (const file of z.array(z.string()).parse(JSON.parse(await textOf('files.json'))))
    if (
      /^chunk-\w+\.js$/.test(file) &&
      new RegExp(`export\\s*\\{[^}]*\\b${name}\\b`).test(await textOf(file))
    )
      return file;
  throw new Error(`nothing exports ${name}`);
}

beforeAll(buildCmt);

describe('the bundles', () => {
  it('have what the CLI calls', async () => {
    expect(fits).toEqual([true, true, true, true]);
    for (const app of ['coordinator', 'worker', 'board']) expect(await exportsOf(app)).toContain('main');
    expect(await exportsOf('lab')).toEqual(
      expect.arrayContaining([
        'labUp',
        'labDown',
        'labLs',
        'labExec',
        'labExecArgv',
        'fabricExecArgv',
        'isAlive',
      ]),
    );
  });

  it('of services read no library that the service has of its own: it would keep it twice', async () => {
    const texts = [...(await readWith(await partThatExports('coordinatorConfig'))).values()];
    // The configuration is checked with zod; queues and ssh sessions are the services’ own.
    expect(texts.filter((text) => text.includes('ZodObject'))).not.toEqual([]);
    expect(texts.filter((text) => /bzpopmin|WebAssembly/.test(text))).toEqual([]);
  });
});
