/** The CLI loads the other apps by file; here their real types meet what it expects of them. */
import { beforeAll, describe, expect, it } from 'vitest';
import type * as board from '../../apps/board/src/main.ts';
import type * as coordinator from '../../apps/coordinator/src/main.ts';
import type { BoardApp, CoordinatorApp, LabApp, WorkerApp } from '../../apps/cli/src/apps.ts';
import type * as lab from '../../apps/lab/src/main.ts';
import type * as worker from '../../apps/worker/src/main.ts';
import { buildCmt, exportsOf } from '../support/cmt.ts';

type Fits<App, Expected> = App extends Expected ? true : never;
/** Fails to compile when an app has changed under the CLI. */
const fits: [
  Fits<typeof coordinator, CoordinatorApp>,
  Fits<typeof worker, WorkerApp>,
  Fits<typeof board, BoardApp>,
  Fits<typeof lab, LabApp<lab.Lab>>,
] = [true, true, true, true];

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
});
