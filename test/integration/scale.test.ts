/** `npm run scale` in small: what it measures is there and adds up. How fast it is, is for a quiet machine to say. */
import { expect, it } from 'vitest';
import { measure, PROBES } from '../scale/run.ts';
import { missedTargets } from '../scale/targets.ts';
import { buildCmt } from '../support/cmt.ts';

it('measures a fleet beside BullMQ alone', { timeout: 240_000 }, async () => {
  await buildCmt();
  const figures = await measure({ hosts: 5, migrations: 20, coordinators: 2, processes: 1, containers: 2 });
  expect(figures).toMatchObject({ v: 1, hosts: 5, migrations: 20, legsPerMigration: 10 });
  // Each has a part, and no migration has two.
  const parts = figures.coordinators.map(({ ended }) => ended);
  expect(parts).toHaveLength(2);
  expect(Math.min(...parts)).toBeGreaterThan(0);
  expect(parts.reduce((sum, part) => sum + part)).toBe(20 + PROBES);
  const { flow, chain } = figures.bare;
  for (const figure of [figures.migrationsPerSecond, flow.migrationsPerSecond, chain.migrationsPerSecond])
    expect(figure).toBeGreaterThan(0);
  // What BullMQ alone needs is the least that a migration can need.
  expect(figures.redis.commandsPerMigration).toBeGreaterThan(100);
});

it('says which targets were missed', () => {
  const good = { ratio: 0.7, coordinators: [{ rssMiB: 150 }], answers: { psMs: 300 } };
  expect(missedTargets(good)).toEqual([]);
  expect(missedTargets({ ...good, ratio: 0.2, coordinators: [{ rssMiB: 250 }] })).toEqual([
    '0.2 of what BullMQ alone does, 0.6 are wanted',
    'a coordinator took 250 MiB',
  ]);
});
