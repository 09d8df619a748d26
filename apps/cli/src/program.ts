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

/** Parse errors are thrown, not printed: main.ts presents them. */
export function buildProgram(version: string): Command {
  const program = new Command('cmt')
    .description('Live-migrates running containers between Linux hosts.')
    .version(version)
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .addHelpText('after', EPILOG);
  for (const add of [
    addMigrate,
    addValidate,
    addPs,
    addStatus,
    addWatch,
    addLogs,
    addCancel,
    addTune,
    addResolve,
    addHosts,
    addSchedule,
    addDoctor,
    addTargets,
    addDrain,
    addUndrain,
    addRebalance,
    addLimits,
  ])
    add(program);
  for (const add of [addLab, addWorker, addCoordinator, addBoard, addCompletion]) add(program);
  return program;
}
