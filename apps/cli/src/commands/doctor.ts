/** `cmt doctor [host]`: what is not as it should be, and what to do about it. */
import type { Command } from 'commander';
import type { Diagnosis } from '@cmt/contracts';
import { ExitCode } from '../exit-codes.ts';
import type { Io } from '../io.ts';
import { addVerb, runVerb, type CommonFlags } from '../verb.ts';

interface DoctorFlags extends CommonFlags {
  readonly local?: boolean;
}

export function addDoctor(program: Command): void {
  addVerb(program, {
    usage: 'doctor',
    does: 'look at Redis, coordinator, hosts and the ways between them; every finding names its remedy; exit code 3 on a problem',
    examples: [
      ['cmt doctor', 'the whole fleet: each host looks at itself, and tries to reach the others'],
      ['cmt doctor host1', 'one host and its ways to the others'],
      ['cmt doctor --local', 'this machine alone: could it be a host?'],
      ['cmt doctor --json | jq -r \'.diagnoses[] | select(.level == "problem") | .remedy\'', 'what to do'],
    ],
  })
    .argument('[host]', 'a host that has announced itself')
    .option('--local', 'look at this machine, and at nothing else; asks no Redis')
    .action((host: string | undefined, flags: DoctorFlags) =>
      runVerb(flags, (io) => examine(host, flags, io)),
    );
}

async function examine(host: string | undefined, flags: DoctorFlags, io: Io): Promise<ExitCode> {
  const { invalid } = await import('../flags/invalid.ts');
  const { printJson } = await import('../io.ts');
  const { diagnosesText } = await import('../present/diagnoses.ts');
  if (flags.local === true && host !== undefined) throw invalid('--local', 'it looks at no other host');
  const diagnoses = flags.local === true ? await thisMachine() : await theFleet(host, flags);
  const ok = diagnoses.every(({ level }) => level !== 'problem');
  if (io.json) printJson(io, ok, { diagnoses });
  else io.out(diagnosesText(diagnoses, io.outPaint));
  return ok ? ExitCode.done : ExitCode.refused;
}

async function theFleet(host: string | undefined, flags: CommonFlags): Promise<Diagnosis[]> {
  const { withFleet } = await import('../fleet.ts');
  return withFleet(flags, (fleet) => fleet.diagnose(host));
}

/** Milliseconds; `criu check` takes the longest. */
const LOCAL_LIMIT_MS = 60_000;

async function thisMachine(): Promise<Diagnosis[]> {
  const { hostname } = await import('node:os');
  const { WorkerConfig } = await import('@cmt/contracts');
  const { createRuntimes, diagnoseThisMachine } = await import('@cmt/host');
  const name = WorkerConfig.shape.name.safeParse(hostname()).data ?? 'localhost';
  const imagesDir = WorkerConfig.shape.imagesDir.parse(undefined);
  const runtimes = createRuntimes({ host: name });
  return diagnoseThisMachine({ name, imagesDir }, runtimes, AbortSignal.timeout(LOCAL_LIMIT_MS));
}
