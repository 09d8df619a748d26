/** The command tree: one verb per file in commands/. Light, because `--help` builds all of it. */
import { Command } from 'commander';
import { addBoard } from './commands/board.ts';
import { addCancel } from './commands/cancel.ts';
import { addCompletion } from './commands/completion.ts';
import { addCoordinator } from './commands/coordinator.ts';
import { addDoctor } from './commands/doctor.ts';
import { addDrain } from './commands/drain.ts';
import { addHosts } from './commands/hosts.ts';
import { addLab } from './commands/lab.ts';
import { addLimits } from './commands/limits.ts';
import { addLogs } from './commands/logs.ts';
import { addMigrate } from './commands/migrate.ts';
import { addPs } from './commands/ps.ts';
import { addRebalance } from './commands/rebalance.ts';
import { addResolve } from './commands/resolve.ts';
import { addSchedule } from './commands/schedule.ts';
import { addStatus } from './commands/status.ts';
import { addTargets } from './commands/targets.ts';
import { addTune } from './commands/tune.ts';
import { addUndrain } from './commands/undrain.ts';
import { addValidate } from './commands/validate.ts';
import { addWatch } from './commands/watch.ts';
import { addWorker } from './commands/worker.ts';

export const EPILOG = `
Examples:
  $ cmt lab up                                      # two hosts on this machine, to try it
  $ cmt validate redis --src host1 --dst host2      # what speaks against it?
  $ cmt migrate redis --src host1 --dst host2       # move it
  $ cmt status                                      # how did it go?

Exit codes:
  0 done  2 usage  3 refused, nothing changed  4 failed, runs on the source
  5 failed, needs an operator  6 Redis, coordinator or worker unreachable
  7 cancelled  130 interrupted (the migration goes on)  1 a bug in cmt`;

/** In the order of the help. */
const VERBS: Readonly<Record<string, (program: Command) => void>> = {
  ...{ migrate: addMigrate, validate: addValidate, ps: addPs, status: addStatus, watch: addWatch },
  ...{ logs: addLogs, cancel: addCancel, tune: addTune, resolve: addResolve, hosts: addHosts },
  ...{ schedule: addSchedule, doctor: addDoctor, targets: addTargets, drain: addDrain },
  ...{ undrain: addUndrain, rebalance: addRebalance, limits: addLimits, lab: addLab },
  ...{ worker: addWorker, coordinator: addCoordinator, board: addBoard, completion: addCompletion },
};

/** Of itself it needs the whole tree. */
const WHOLE = 'completion';

/**
 * Parse errors are thrown, not printed: main.ts presents them.
 * @param asked the first word of the command line: where it is a verb the others are left out, for building all of them takes a
 * sixth of the time of a quick one
 */
export function buildProgram(version: string, asked = ''): Command {
  const program = new Command('cmt')
    .description('Live-migrates running containers between Linux hosts.')
    .version(version)
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .addHelpText('after', EPILOG);
  const own = asked !== WHOLE && Object.hasOwn(VERBS, asked) ? VERBS[asked] : undefined;
  for (const add of own ? [own] : Object.values(VERBS)) add(program);
  return program;
}
