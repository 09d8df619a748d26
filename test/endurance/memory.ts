/**
 * How much memory coordinator and workers hold once all that is garbage is gone. They are started again with a collector that a
 * signal calls, and with nothing else changed.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { startDaemon, WORKER_NODE_FLAGS } from '@cmt/host';
import { hostOf, isAlive, listDaemons, signalDaemon, spawnInHost, type Lab } from '@cmt/lab';
import type { Fleet } from '../support/fleet.ts';
import { lives } from '../support/lives.ts';

/** Bytes, right after a full collection. */
export interface Memory {
  /** What is resident, less the room that V8 keeps free for young objects: up to 32 MB as long as there is work, given back at rest. */
  readonly rss: number;
  readonly heapUsed: number;
}

/** A process that can be asked. */
export interface Weighed {
  readonly name: string;
  weigh(): Promise<Memory>;
}

/** Milliseconds. */
const ANSWER_MS = 30_000;
const LOOK_MS = 20;
/** Pages that a collection has emptied are given back by threads of their own. */
const SETTLE_MS = 200;

/** Arguments of node that make it answer SIGUSR2 with a new file. */
const listening = (file: string): string[] => {
  const program = `
    import { renameSync, writeFileSync } from 'node:fs';
    import { getHeapSpaceStatistics } from 'node:v8';
    let asked = 0;
    process.on('SIGUSR2', async () => {
      gc();
      await new Promise((resolve) => setTimeout(resolve, ${SETTLE_MS}));
      gc();
      const { rss: resident, heapUsed } = process.memoryUsage();
      const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
      const rss = resident - (young.physical_space_size - young.space_used_size);
      writeFileSync('${file}.new', JSON.stringify({ rss, heapUsed, asked: (asked += 1) }));
      renameSync('${file}.new', '${file}');
    });`;
  return ['--expose-gc', '--import', `data:text/javascript,${encodeURIComponent(program)}`];
};

function weighed(name: string, file: string, signal: () => void): Weighed {
  let asked = 0;
  return {
    name,
    weigh: async () => {
      asked += 1;
      signal();
      const deadline = Date.now() + ANSWER_MS;
      for (;;) {
        const answer = await readFile(file, 'utf8').catch(() => '{}');
        const { rss, heapUsed, asked: of } = JSON.parse(answer) as Memory & { asked: number };
        if (of === asked) return { rss, heapUsed };
        if (Date.now() > deadline) throw new Error(`${name} does not say how large it is`);
        await pause(LOOK_MS);
      }
    },
  };
}

/** Coordinator and workers of a fleet, each started anew. */
export async function weighable(fleet: Fleet, cli: string): Promise<Weighed[]> {
  const workers = fleet.lab.hosts.map(({ name }) => weighableWorker(fleet.lab, name, cli));
  return [await weighableCoordinator(fleet, cli), ...(await Promise.all(workers))];
}

async function weighableWorker(lab: Lab, host: string, cli: string): Promise<Weighed> {
  const old = (await listDaemons(lab, host)).find(({ name }) => name === 'worker');
  if (old === undefined) throw new Error(`no worker runs on ${host}`);
  signalDaemon(old, 'SIGTERM');
  while (isAlive(old.process)) await pause(LOOK_MS);
  const argv = ['node', ...WORKER_NODE_FLAGS, ...listening('/var/log/cmt/memory.json'), cli, 'worker'];
  const worker = await spawnInHost(lab, host, { name: 'worker', argv });
  return weighed(`worker on ${host}`, join(hostOf(lab, host).dir, 'log/memory.json'), () =>
    signalDaemon(worker, 'SIGUSR2'),
  );
}

async function weighableCoordinator({ stateDir }: Fleet, cli: string): Promise<Weighed> {
  const pidOf = async (): Promise<number> =>
    Number((await readFile(join(stateDir, 'coordinator.pid'), 'utf8')).split(' ')[0]);
  const old = await pidOf();
  process.kill(old, 'SIGTERM');
  while (lives(old)) await pause(LOOK_MS);
  const file = join(stateDir, 'memory.json');
  const config = join(stateDir, 'coordinator.json');
  const argv = [process.execPath, ...listening(file), cli, 'coordinator', '--config', config];
  await startDaemon({ dir: stateDir, name: 'coordinator', argv });
  const pid = await pidOf();
  return weighed('coordinator', file, () => process.kill(pid, 'SIGUSR2'));
}
