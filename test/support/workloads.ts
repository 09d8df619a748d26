/** The programs of test/workloads in containers, and questions to them. */
import { once } from 'node:events';
import { readFile, readdir } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { bundleOf, pathInHost, startContainer } from '../../apps/lab/src/demo/container.ts';
import type { ContainerSpec } from '../../apps/lab/src/demo/container.ts';
import { labExec, type Lab } from '../../apps/lab/src/main.ts';
import { patient } from './patience.ts';

const sources = join(import.meta.dirname, '../workloads');

/** All in Python but `mapped`: the lab's small Python has no mmap. */
export type WorkloadName = 'counter' | 'threads' | 'memory' | 'files' | 'tree' | 'network' | 'mapped';
export type Workload = Pick<ContainerSpec, 'id' | 'net' | 'mounts'> & {
  readonly program: WorkloadName;
  readonly args?: readonly string[];
};

const python = {
  suffix: '.py',
  program: '/usr/bin/python3',
  argv: ['python3', '-B'],
  tree: '/usr/lib/python3.*',
};
const perl = {
  suffix: '.pl',
  program: '/usr/bin/perl',
  argv: ['perl'],
  tree: '/usr/lib/*/perl-base',
};

/** Starts a program of test/workloads in a container, and resolves when it answers. */
export async function startWorkload(lab: Lab, host: string, workload: Workload): Promise<void> {
  const { program, args = [], ...rest } = workload;
  const interpreter = program === 'mapped' ? perl : python;
  const { stdout } = await labExec(lab, host, ['sh', '-c', `ls -d ${interpreter.tree}`]);
  const names = (await readdir(sources)).filter((name) => name.endsWith(interpreter.suffix));
  const texts = await Promise.all(
    names.map(async (name) => [`/workload/${name}`, await readFile(join(sources, name), 'utf8')]),
  );
  await startContainer(lab, host, {
    ...rest,
    argv: [...interpreter.argv, `/workload/${program}${interpreter.suffix}`, ...args],
    env: { PYTHONPATH: '/workload' },
    programs: [interpreter.program],
    trees: stdout.split('\n'),
    files: Object.fromEntries(texts) as Record<string, string>,
  });
  await answering(lab, host, rest.id);
}

/** Asks a workload on its unix socket, from outside its container. Rejects when nobody answers within the limit. */
export async function ask<T>(
  lab: Lab,
  host: string,
  id: string,
  word: string,
  timeoutMs = 15_000,
): Promise<T> {
  const text = await exchange(socketOf(lab, host, id), `${word}\n`, timeoutMs);
  const answer = JSON.parse(text) as T & { error?: string };
  if (answer.error !== undefined) throw new Error(`${id} on ${host}: ${answer.error}`);
  return answer;
}

/** Connects to a workload from outside its container and says nothing: CRIU refuses to dump such a connection. */
export async function holdOpen(lab: Lab, host: string, id: string): Promise<Socket> {
  const socket = connect(socketOf(lab, host, id));
  await once(socket, 'connect');
  return socket;
}

const socketOf = (lab: Lab, host: string, id: string): string =>
  pathInHost(lab, host, join(bundleOf(id), 'rootfs/run/ask.sock'));

/** A workload whose program has got as far as answering. */
async function answering(lab: Lab, host: string, id: string): Promise<void> {
  const deadline = Date.now() + patient(20_000);
  for (;;) {
    try {
      await ask(lab, host, id, 'state', 2000);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`${id} on ${host} never answered`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function exchange(path: string, text: string, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let answer = '';
    socket.setTimeout(timeoutMs, () =>
      socket.destroy(new Error(`no answer from ${path} in ${timeoutMs} ms`)),
    );
    socket.on('connect', () => socket.write(text));
    socket.on('data', (bytes) => (answer += bytes.toString()));
    socket.on('end', () => resolve(answer));
    socket.on('error', reject);
  });
}
