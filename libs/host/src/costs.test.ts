import { KEPT_COSTS } from '@cmt/contracts';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StepContext } from './context.ts';
import { noteCosts, readCosts } from './costs.ts';
import { thisMachine } from './this-machine.ts';

let stateDir: string;
const told: unknown[] = [];
const context = () =>
  ({
    config: { stateDir },
    machine: thisMachine,
    tell: (what: unknown) => told.push(what),
  }) as unknown as StepContext;

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'cmt-costs-'));
});
afterEach(() => rm(stateDir, { recursive: true }));

it('there are none before the first hand-over', async () => {
  expect(await readCosts(stateDir, thisMachine.files)).toBeNull();
});

it('keeps the latest of each kind', async () => {
  for (let n = 1; n <= KEPT_COSTS + 2; n += 1) await noteCosts(context(), { restore: { bytes: n, ms: 10 } });
  await noteCosts(context(), { dump: { bytes: 7, ms: 70 }, files: { bytes: 0, ms: 5 } });
  const costs = await readCosts(stateDir, thisMachine.files);
  expect(costs?.restore.map(({ bytes }) => bytes)).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
  expect(costs).toMatchObject({ dump: [{ bytes: 7, ms: 70 }], files: [{ bytes: 0, ms: 5 }] });
});

it('begins anew where the file was damaged', async () => {
  await writeFile(join(stateDir, 'costs.json'), '{"dump":[');
  expect(await readCosts(stateDir, thisMachine.files)).toBeNull();
  await noteCosts(context(), { dump: { bytes: 1, ms: 1 } });
  expect(await readCosts(stateDir, thisMachine.files)).toMatchObject({ dump: [{ bytes: 1, ms: 1 }] });
});

it('fails no migration where it cannot be kept', async () => {
  await writeFile(join(stateDir, 'file'), '');
  const { config } = context();
  const broken = { ...context(), config: { ...config, stateDir: join(stateDir, 'file') } };
  await noteCosts(broken, { dump: { bytes: 1, ms: 1 } });
  expect(told).toHaveLength(1);
});
