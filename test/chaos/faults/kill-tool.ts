/**
 * SIGKILL to criu or runc of one host, as soon as the row has started it; where dump and restore are armed before the freeze, while
 * they wait, or as soon as they were let go. Some live for a hundredth of a second only, so they are looked for from the end of the
 * row before, without rest.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { NothingStruck, type Fault, type Scene } from './fault.ts';

type Tool = 'criu' | 'runc';
type Side = 'source' | 'target';

/** What of runc a row calls. */
const VERB: Readonly<Record<string, string>> = {
  inspect: 'state',
  'freeze-and-dump': 'checkpoint',
  'restore-and-hold': 'restore',
  release: 'restore',
  confirm: 'state',
  retire: 'delete',
  resume: 'resume',
};

/** As the CRIU that runc calls names itself once it has its order; a check is called otherwise. */
const WORKING_CRIU = /^criu: (dump|restore)/;

/** The script of the gate at which an armed dump waits. */
const START_GATE = /-start-gate\/start\.sh$/;

/** Whether what is killed still waits at the gate of the dump. Of no concern where there is none. */
type Stage = 'waiting' | 'at work';

interface Process {
  readonly pid: number;
  readonly argv: readonly string[];
}

/** The one to kill among all processes of a host, newest first. */
type Look = (processes: readonly Process[]) => Process | undefined;

const killFirst =
  (what: string, side: Side, lookFor: (scene: Scene) => Look): Fault =>
  (scene) =>
    Promise.resolve({
      strike: async () => {
        await killWhenSeen(what, scene[side], lookFor(scene), scene);
        return { at: Date.now() };
      },
      heal: () => Promise.resolve(),
    });

export const killTool = (tool: Tool, side: Side, stage: Stage = 'at work'): Fault =>
  killFirst(tool, side, (scene) => workOf(tool, stage, scene));

/** The runc of a restore, as soon as it is there: it waits for the word, or is on its way there. */
export const killArmedRestore: Fault = killFirst(
  'armed restore',
  'target',
  ({ container }) =>
    (processes) =>
      processes.find(({ argv }) => isProgram('runc', argv) && isAbout(argv, 'restore', container)),
);

function workOf(tool: Tool, stage: Stage, { station, container }: Scene): Look {
  const verb = VERB[station.row.name] ?? '';
  const isIt = ({ argv }: Process): boolean =>
    tool === 'criu'
      ? WORKING_CRIU.test(argv[0] ?? '')
      : isProgram(tool, argv) && isAbout(argv, verb, container);
  let hasWaited = station.row.name !== 'freeze-and-dump';
  return (processes) => {
    const waits = processes.some(({ argv }) => argv.some((word) => START_GATE.test(word)));
    hasWaited ||= waits;
    const isStage = stage === 'waiting' ? waits : hasWaited && !waits;
    return isStage ? processes.find(isIt) : undefined;
  };
}

const isProgram = (name: string, [file = '']: readonly string[]): boolean => basename(file) === name;
const isAbout = (argv: readonly string[], ...words: readonly string[]): boolean =>
  words.every((word) => argv.includes(word));

async function killWhenSeen(what: string, host: string, look: Look, scene: Scene): Promise<void> {
  const { fleet, over, container } = scene;
  const cgroup = join(fleet.lab.cgroup, host);
  while (!over.aborted) {
    // The newest come last.
    const pids = ['system', container].flatMap((group) => pidsIn(join(cgroup, group)).reverse());
    const found = look(pids.map((pid) => ({ pid, argv: argvOf(pid) })));
    if (found !== undefined && kill(found.pid)) return;
    await nextTurn();
  }
  throw new NothingStruck(`no ${what} was seen on ${host}`);
}

/** @returns false when it has ended by itself meanwhile */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

function pidsIn(cgroup: string): number[] {
  const own = textOf(join(cgroup, 'cgroup.procs')).split('\n').filter(Boolean).map(Number);
  return [...own, ...groupsIn(cgroup).flatMap((name) => pidsIn(join(cgroup, name)))];
}

function groupsIn(cgroup: string): string[] {
  try {
    const entries = readdirSync(cgroup, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    return [];
  }
}

const argvOf = (pid: number): string[] => textOf(`/proc/${pid}/cmdline`).split('\0');

/** Empty when it is gone: processes and cgroups end while we look. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
