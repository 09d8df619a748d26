/** `cmt lab up|ls|exec|down`: real hosts on one machine, to try cmt with. */
import type { Command } from 'commander';
import type { LabApp, LabView } from '../apps.ts';
import { ExitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';

interface LabFlags extends CommonFlags {
  readonly name: string;
}

interface UpFlags extends LabFlags {
  readonly hosts: string;
}

export function addLab(program: Command): void {
  const lab = program
    .command('lab')
    .description('real hosts on this machine, in namespaces of their own: try cmt without a fleet')
    .enablePositionalOptions();
  const named = (command: Command) => command.option('--name <name>', 'name of the lab', 'lab');
  named(
    addVerb(lab, {
      usage: 'up',
      does: 'make the hosts, with Redis, a coordinator and a worker in each; needs root',
      examples: [
        ['cmt lab up', 'host1 and host2'],
        ['cmt lab up --hosts 3 --name rack', 'another lab; give it a --state-dir of its own'],
      ],
    }),
  )
    .option('--hosts <n>', 'how many hosts', '2')
    .action((flags: UpFlags) => runVerb(flags, (io) => up(flags, io)));
  addVerb(lab, {
    usage: 'ls',
    does: 'list labs and their hosts',
    examples: [['cmt lab ls', 'what is up']],
  }).action((flags: CommonFlags) => runVerb(flags, (io) => ls(io)));
  named(
    addVerb(lab, {
      usage: 'exec',
      does: 'run a program inside a host, or in the network between them (`fabric`)',
      examples: [
        ['cmt lab exec host1 runc list', 'inside a host'],
        ['cmt lab exec fabric ping -c 1 10.77.0.11', 'as the outside world'],
      ],
    }),
  )
    .argument('<host>', 'a host of the lab, or `fabric`')
    .argument('<argv...>', 'program and arguments')
    .passThroughOptions()
    .action((host: string, argv: string[], flags: LabFlags) =>
      runVerb(flags, () => exec(host, argv, flags.name)),
    );
  named(
    addVerb(lab, {
      usage: 'down',
      does: 'remove the lab with everything in it, and stop the Redis and coordinator it used',
      examples: [['cmt lab down', 'nothing is left, also after a crash']],
    }),
  ).action((flags: LabFlags) => runVerb(flags, (io) => down(flags, io)));
}

async function up(flags: UpFlags, io: Io): Promise<ExitCode> {
  const { bundleDir, loadApp } = await import('../apps.ts');
  const { clientConfig } = await import('../redis-of.ts');
  const { invalid } = await import('../flags/invalid.ts');
  const { raiseFleet, refuseOtherLab } = await import('../embedded/lab-fleet.ts');
  const { printJson } = await import('../io.ts');
  if (!/^[1-9]\d?$/.test(flags.hosts))
    throw invalid('--hosts', `'${flags.hosts}' is not a number from 1 to 80`);
  const { stateDir } = await clientConfig(flags);
  await refuseOtherLab(stateDir, flags.name);
  const app = await loadApp('lab');
  const tell = (line: string): void => io.err(`${line}\n`);
  const wanted = { name: flags.name, hosts: Number(flags.hosts), share: [bundleDir()], onProgress: tell };
  const lab = await app.labUp(wanted);
  await raiseFleet({ app, lab, stateDir }, tell);
  if (io.json) printJson(io, true, { lab: shown(lab) });
  else
    io.out(
      `lab ${lab.name} is up: ${lab.hosts.map(({ name, address }) => `${name} ${address}`).join(', ')}\n`,
    );
  return ExitCode.done;
}

async function ls(io: Io): Promise<ExitCode> {
  const { loadApp } = await import('../apps.ts');
  const { printJson } = await import('../io.ts');
  const { labsText } = await import('../present/labs.ts');
  const labs = await (await loadApp('lab')).labLs();
  if (io.json) printJson(io, true, { labs: labs.map(shown) });
  else if (labs.length > 0) io.out(labsText(labs, io.outPaint));
  else io.err('No lab is up. `cmt lab up` makes one.\n');
  return ExitCode.done;
}

const shown = ({ name, hosts, ready, fabric }: LabView): object => ({
  ...{ name, ready, gateway: fabric.gateway },
  hosts: hosts.map((host) => ({ name: host.name, address: host.address })),
});

/** The exit code is the program's own. */
async function exec(host: string, argv: readonly string[], name: string): Promise<ExitCode> {
  const { loadApp } = await import('../apps.ts');
  const { start } = await import('@cmt/host');
  const app = await loadApp('lab');
  const lab = await labNamed(app, name);
  const [file = '', ...args] =
    host === 'fabric' ? app.fabricExecArgv(lab, argv) : app.labExecArgv(lab, host, argv);
  // The program gets Ctrl-C from the terminal itself, and decides.
  process.on('SIGINT', () => undefined);
  const { exitCode } = await start(file, args, { stdio: 'inherit' });
  return (exitCode ?? ExitCode.internal) as ExitCode;
}

async function labNamed(app: LabApp, name: string): Promise<LabView> {
  const lab = (await app.labLs()).find((other) => other.name === name);
  if (lab) return lab;
  const { CmtError } = await import('@cmt/contracts');
  throw new CmtError('LAB_FAILED', { reason: `no lab ${name} is up` });
}

async function down(flags: LabFlags, io: Io): Promise<ExitCode> {
  const { loadApp } = await import('../apps.ts');
  const { forgetEmbedded } = await import('../embedded/embedded.ts');
  const { readSetup } = await import('../embedded/setup.ts');
  const { clientConfig } = await import('../redis-of.ts');
  const { printJson } = await import('../io.ts');
  const { stateDir } = await clientConfig(flags);
  const { lab } = await readSetup(stateDir);
  if (lab === flags.name) await forgetEmbedded(stateDir);
  await (await loadApp('lab')).labDown({ name: flags.name });
  if (io.json) printJson(io, true, { name: flags.name });
  else io.err(`lab ${flags.name} is gone\n`);
  return ExitCode.done;
}
