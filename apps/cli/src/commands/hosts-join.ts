/** `cmt hosts add|rm`: a machine becomes a host of the fleet over ssh, and ceases to be one. */
import type { Command } from 'commander';
import { ExitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';
import { collect } from './services.ts';

interface AddFlags extends CommonFlags {
  readonly name?: string;
  readonly address?: string;
  readonly label?: string[];
  readonly hostRedis?: string;
  readonly coordinatorKey?: string[];
  readonly port?: string;
  readonly sshConfig?: string;
  readonly service: boolean;
}

interface RemoveFlags extends CommonFlags {
  readonly via?: string;
  readonly port?: string;
  readonly sshConfig?: string;
  readonly gone?: boolean;
}

const withSsh = (command: Command): Command =>
  command
    .option('--port <port>', 'port of its sshd (default: that of ~/.ssh/config, or 22)')
    .option('--ssh-config <file>', 'configuration for ssh instead of ~/.ssh/config');

export function addJoin(hosts: Command): void {
  const command = addVerb(hosts, {
    usage: 'add',
    does: 'install a worker on a machine over ssh, with a Redis user of its own, and examine it; done twice it changes nothing',
    examples: [
      ['cmt hosts add root@10.0.0.3 --name host3', 'needs criu, runc and rsync there, and no Node'],
      ['cmt hosts add admin@rack7 --label zone=a --label gpu=no', 'as ~/.ssh/config knows it; sudo there'],
      [
        'cmt hosts add root@10.0.0.3 --host-redis rediss://redis.example:6379 --coordinator-key /etc/cmt/trusted.d/coordinator.pub',
        'where this machine reaches Redis in another way than hosts do',
      ],
    ],
  })
    .argument('<machine>', 'user@host, as ssh takes it')
    .option('--name <name>', 'registered name (default: the one it has, or the machine’s)')
    .option('--address <address>', 'address under which other hosts reach it (default: the one ssh reached)')
    .option('--label <name=value>', 'shown by `cmt hosts`; repeatable', collect)
    .option('--host-redis <url>', 'how hosts reach Redis (default: as this command does)')
    .option(
      '--coordinator-key <file>',
      'whose orders it obeys (default: the trusted keys directory); repeatable',
      collect,
    )
    .option('--no-service', 'start the worker as a plain process, not as a systemd service');
  withSsh(command).action((machine: string, flags: AddFlags) =>
    runVerb(flags, (io) => add(machine, flags, io)),
  );
}

export function addLeave(hosts: Command): void {
  const command = addVerb(hosts, {
    usage: 'rm',
    does: 'take a worker away again, with its keys, its Redis user and what the registry holds of it',
    examples: [
      ['cmt hosts rm host3', 'reached as it has announced itself'],
      ['cmt hosts rm host3 --via admin@rack7', 'reached in another way'],
      ['cmt hosts rm host3 --gone', 'the machine is gone for good: forget it'],
    ],
  })
    .argument('<name>', 'a host')
    .option('--via <user@host>', 'how ssh reaches it')
    .option('--gone', 'do not try to reach it');
  withSsh(command).action((name: string, flags: RemoveFlags) =>
    runVerb(flags, (io) => remove(name, flags, io)),
  );
}

/** Milliseconds that a worker may take to announce itself, and between looks. */
const ANNOUNCED_MS = 60_000;
const LOOK_MS = 250;

async function add(destination: string, flags: AddFlags, io: Io): Promise<ExitCode> {
  const { withFleet } = await import('../fleet.ts');
  const { clientConfig } = await import('../redis-of.ts');
  const { fleetPlace } = await import('../joining/fleet-place.ts');
  const { joinHost } = await import('../joining/join-host.ts');
  const { printJson } = await import('../io.ts');
  const { diagnosesText } = await import('../present/diagnoses.ts');
  const { HostName } = await import('@cmt/contracts');
  const { invalid } = await import('../flags/invalid.ts');
  if (flags.name !== undefined && !HostName.safeParse(flags.name).success)
    throw invalid('--name', `'${flags.name}': letters, digits, dot, dash and underscore`);
  const labels = await labelsFrom(flags.label ?? []);
  const host = sshHostOf(destination, flags);
  const tell = (line: string): void => io.err(`${line}\n`);
  return withFleet(flags, async (fleet) => {
    const place = await fleetPlace(await clientConfig(flags), flags);
    const { name, address, service: asService } = flags;
    const joined = await joinHost(fleet, place, { host, name, address, labels, asService, tell });
    for (const note of joined.notes) tell(`note: ${note}`);
    await announced(fleet, joined.name);
    const diagnoses = await fleet.diagnose(joined.name);
    const ok = diagnoses.every(({ level }) => level !== 'problem');
    if (io.json) printJson(io, ok, { ...joined, diagnoses });
    else {
      io.out(`${joined.name} ${joined.changed ? 'has joined' : 'is a host already; nothing was changed'}\n`);
      io.out(diagnosesText(diagnoses, io.outPaint));
    }
    return ok ? ExitCode.done : ExitCode.refused;
  });
}

/** @throws {CmtError} HOST_UNREACHABLE when its worker does not come up */
async function announced(
  fleet: { hosts(): Promise<{ readonly name: string; readonly state: string }[]> },
  name: string,
): Promise<void> {
  const { setTimeout: pause } = await import('node:timers/promises');
  const { CmtError } = await import('@cmt/contracts');
  const deadline = performance.now() + ANNOUNCED_MS;
  while (!(await fleet.hosts()).some((seen) => seen.name === name && seen.state === 'online')) {
    if (performance.now() > deadline) throw new CmtError('HOST_UNREACHABLE', { host: name });
    await pause(LOOK_MS);
  }
}

async function labelsFrom(texts: readonly string[]): Promise<Record<string, string>> {
  const { labelsOf } = await import('../config.ts');
  const { invalid } = await import('../flags/invalid.ts');
  const pairs = Object.entries(labelsOf(texts)).map(([name, value]) => {
    if (name === '' || value === undefined) throw invalid('--label', 'write NAME=VALUE');
    return [name, value] as const;
  });
  return Object.fromEntries(pairs);
}

function sshHostOf(
  destination: string,
  { port, sshConfig }: { readonly port?: string; readonly sshConfig?: string },
): { destination: string; port?: number; config?: string } {
  return {
    destination,
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(sshConfig === undefined ? {} : { config: sshConfig }),
  };
}

async function remove(name: string, flags: RemoveFlags, io: Io): Promise<ExitCode> {
  const { withFleet } = await import('../fleet.ts');
  const { leaveHost } = await import('../joining/leave-host.ts');
  const { printJson } = await import('../io.ts');
  const host = flags.via === undefined ? undefined : sshHostOf(flags.via, flags);
  const wish = { name, host, sshConfig: flags.sshConfig, isGone: flags.gone === true };
  const notes = await withFleet(flags, (fleet) => leaveHost(fleet, wish));
  for (const note of notes) io.err(`note: ${note}\n`);
  if (io.json) printJson(io, true, { name, notes });
  else io.err(`${name} is no host any more\n`);
  return ExitCode.done;
}
