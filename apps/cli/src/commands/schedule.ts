/** `cmt schedule add|ls|rm|run`: verbs that a coordinator carries out when their time has come. */
import type { Command } from 'commander';
import { ExitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';

interface AddFlags extends CommonFlags {
  readonly name?: string;
  readonly tz: string;
  readonly grace: string;
  readonly replace?: boolean;
}

interface RunFlags extends CommonFlags {
  readonly wait?: boolean;
}

export function addSchedule(program: Command): void {
  const schedule = program
    .command('schedule')
    .description('have a verb carried out again and again; a coordinator does it, no cron and no shell')
    .enablePositionalOptions();
  addAdd(schedule);
  addVerb(schedule, {
    usage: 'ls',
    does: 'list schedules: what they do, when they are due next, how the last time went, what was missed',
    examples: [
      ['cmt schedule ls', 'the next one first'],
      ["cmt schedule ls --json | jq '.schedules[].runs[0]'", 'the last run of each'],
    ],
  }).action((flags: CommonFlags) => runVerb(flags, (io) => list(flags, io)));
  addVerb(schedule, {
    usage: 'rm',
    does: 'remove a schedule; what it has begun goes on',
    examples: [['cmt schedule rm nightly', 'it is never due again']],
  })
    .argument('<name>', 'a schedule')
    .action((name: string, flags: CommonFlags) => runVerb(flags, (io) => remove(name, flags, io)));
  addVerb(schedule, {
    usage: 'run',
    does: 'carry a schedule out now, whatever the time is',
    examples: [
      ['cmt schedule run nightly', 'prints the id of the migration, or of the drain'],
      ['cmt schedule run nightly --wait', 'and shows it until its end, and exits as it does'],
    ],
  })
    .argument('<name>', 'a schedule')
    .option('--wait', 'wait for the end')
    .action((name: string, flags: RunFlags) => runVerb(flags, (io) => run(name, flags, io)));
}

function addAdd(schedule: Command): void {
  addVerb(schedule, {
    usage: 'add',
    does: 'have a verb carried out at a time, as crontab writes it; asked for twice it is one schedule',
    examples: [
      [
        "cmt schedule add '0 3 * * 0' --name sunday -- migrate redis --src host1 --dst host2",
        'Sundays at three, UTC',
      ],
      [
        "cmt schedule add '30 22 * * mon-fri' --tz Europe/Berlin -- migrate redis --src host1 --dst host2",
        'in a zone',
      ],
      ["cmt schedule add '0 3 * * 0' -- drain host1 --deadline 60m", 'a whole host; nobody waits for it'],
      [
        'cmt schedule add @daily --name sunday --replace -- migrate redis --src host1 --dst host2',
        'in the place of the one of that name',
      ],
    ],
  })
    .argument('<pattern>', 'minute hour day month weekday, in quotes; seconds may stand in front; or @daily')
    .argument('<words...>', 'the verb with its flags, behind `--`')
    .option('--name <name>', 'name of the schedule (default: the verb and what it is about)')
    .option('--tz <zone>', 'time zone in which the pattern is meant', 'UTC')
    .option('--grace <time>', 'a run that could not begin for so long counts as missed', '15m')
    .option('--replace', 'take the place of another schedule of that name')
    .action((pattern: string, words: string[], flags: AddFlags) =>
      runVerb(flags, (io) => add(pattern, words, flags, io)),
    );
}

async function add(pattern: string, words: string[], flags: AddFlags, io: Io): Promise<ExitCode> {
  const { scheduleFrom } = await import('../schedule.ts');
  const { withFleet } = await import('../fleet.ts');
  const { printJson } = await import('../io.ts');
  const { addedText } = await import('../present/schedules.ts');
  return withFleet(flags, async (fleet) => {
    const schedule = await scheduleFrom({ pattern, words, flags, now: Date.now() }, fleet);
    const isNew = await fleet.addSchedule(schedule, flags.replace === true);
    const known = (await fleet.schedules()).find((each) => each.schedule.name === schedule.name);
    if (io.json) printJson(io, true, { isNew, schedule: known });
    else if (known) io.out(addedText(known, isNew));
    if (!(await fleet.hasCoordinator()))
      io.err('No coordinator runs; until one does, times are missed. Start `cmt coordinator`.\n');
    return ExitCode.done;
  });
}

async function list(flags: CommonFlags, io: Io): Promise<ExitCode> {
  const { withFleet } = await import('../fleet.ts');
  const { printJson } = await import('../io.ts');
  const { schedulesText } = await import('../present/schedules.ts');
  const { saysUnreadable } = await import('../present/unreadable.ts');
  const unreadable = saysUnreadable(io, 'SCHEDULE_UNREADABLE');
  const schedules = await withFleet(flags, (fleet) => fleet.schedules(unreadable));
  if (io.json) printJson(io, true, { schedules });
  else if (schedules.length > 0) io.out(schedulesText(schedules, Date.now(), io.outPaint));
  else io.err('There is no schedule. `cmt schedule add` makes one.\n');
  return ExitCode.done;
}

async function remove(name: string, flags: CommonFlags, io: Io): Promise<ExitCode> {
  const { withFleet } = await import('../fleet.ts');
  const { printJson } = await import('../io.ts');
  return withFleet(flags, async (fleet) => {
    await fleet.removeSchedule(name);
    if (io.json) printJson(io, true, { name });
    else io.err(`schedule ${name} is gone\n`);
    if (!(await fleet.hasCoordinator()))
      io.err(
        'No coordinator runs: one writes down that it is over when it starts, if Redis still says so.\n',
      );
    return ExitCode.done;
  });
}

async function run(name: string, flags: RunFlags, io: Io): Promise<ExitCode> {
  const { withFleet } = await import('../fleet.ts');
  const { printJson } = await import('../io.ts');
  const { showScheduled } = await import('../show.ts');
  return withFleet(flags, async (fleet) => {
    const began = await fleet.runSchedule(name);
    if (began.outcome === 'started' && began.id !== null && flags.wait === true)
      return showScheduled(fleet, name, began.id, io);
    if (io.json) printJson(io, began.outcome === 'started', { run: began });
    else if (began.outcome === 'started') io.out(`${began.id ?? ''}\n`);
    else io.err(`${began.id ?? 'a run'} is still under way; nothing new was begun\n`);
    return began.outcome === 'started' ? ExitCode.done : ExitCode.refused;
  });
}
