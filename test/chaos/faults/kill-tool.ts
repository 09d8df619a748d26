/** SIGKILL to criu or runc of one host, as soon as the row has started it. */
import { readFile, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
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

/** Shorter than a tool lives, however small its work. */
const LOOK_EVERY_MS = 1;

export const killTool =
  (tool: Tool, side: Side): Fault =>
  (scene) =>
    Promise.resolve({
      strike: async () => {
        const pid = await appears(tool, scene[side], scene);
        process.kill(pid, 'SIGKILL');
        return undefined;
      },
      heal: () => Promise.resolve(),
    });

async function appears(tool: Tool, host: string, scene: Scene): Promise<number> {
  const { fleet, station, over, container } = scene;
  const cgroup = join(fleet.lab.cgroup, host);
  const verb = VERB[station.row.name] ?? '';
  const isIt = (argv: readonly string[]): boolean =>
    tool === 'criu'
      ? WORKING_CRIU.test(argv[0] ?? '')
      : basename(argv[0] ?? '') === tool && argv.includes(verb) && argv.includes(container);
  while (!over.aborted) {
    for (const group of ['system', container])
      for (const pid of await pidsIn(join(cgroup, group))) if (isIt(await argvOf(pid))) return pid;
    await pause(LOOK_EVERY_MS);
  }
  throw new NothingStruck(`no ${tool} was seen on ${host}`);
}

async function pidsIn(cgroup: string): Promise<number[]> {
  const text = await readFile(join(cgroup, 'cgroup.procs'), 'utf8').catch(() => '');
  const below = await readdir(cgroup, { withFileTypes: true }).catch(() => []);
  const deeper = below.filter((each) => each.isDirectory()).map(({ name }) => pidsIn(join(cgroup, name)));
  return [...text.split('\n').filter(Boolean).map(Number), ...(await Promise.all(deeper)).flat()];
}

const argvOf = async (pid: number): Promise<string[]> =>
  (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
