/**
 * `npm run scale -- [--hosts N] [--migrations N] [--coordinators N] [--json]`: simulated hosts with the real Redis, queues,
 * coordinator and command line, and beside them BullMQ alone with as many jobs, on the same machine in the same run.
 */
import { parseArgs } from 'node:util';
import { buildCmt } from '../support/cmt.ts';
import { measure } from './run.ts';
import { missedTargets } from './targets.ts';

const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '1000' },
    migrations: { type: 'string', default: '10000' },
    coordinators: { type: 'string', default: '1' },
    processes: { type: 'string', default: '2' },
    containers: { type: 'string', default: '10' },
    json: { type: 'boolean', default: false },
  },
});

const wanted = (
  name: 'hosts' | 'migrations' | 'coordinators' | 'processes' | 'containers',
  least: number,
): number => {
  const number = Number(values[name]);
  if (!Number.isInteger(number) || number < least) throw new Error(`--${name} wants a number from ${least}`);
  return number;
};

await buildCmt();
const figures = await measure({
  ...{ hosts: wanted('hosts', 2), migrations: wanted('migrations', 1) },
  ...{ coordinators: wanted('coordinators', 1), processes: wanted('processes', 1) },
  containers: wanted('containers', 0),
});
const missed = missedTargets(figures);
const answer = { ...figures, missed };
process.stdout.write(`${values.json ? JSON.stringify(answer) : JSON.stringify(answer, null, 2)}\n`);
process.exit(missed.length === 0 ? 0 : 1);
