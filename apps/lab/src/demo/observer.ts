/** Processes that watch while others act: asked by a line, answering with a line of JSON. */
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { start } from '@cmt/host';
import { fabricExecArgv } from '../exec.ts';
import type { Lab } from '../lab.ts';
import { LabError } from '../lab-error.ts';
import type { CountReport } from './count.ts';
import type { CopiesReport } from './copies.ts';

export interface Observer<Report> {
  /** What it has seen so far. */
  report(): Promise<Report>;
  /** What it saw at all; it ends. */
  end(): Promise<Report>;
  /** Ends it without asking; nothing happens when it has ended. */
  kill(): void;
}

/** Milliseconds for an answer: a busy machine needs seconds for its first. */
const ANSWER_MS = 30_000;
const LOOK_MS = 10;

/** A client in the fabric that counts with INCR over one connection, without pause unless told. Resolves when it has its first answer. */
export async function startCountingClient(
  lab: Lab,
  server: { address: string; port: number; key: string; pauseMs?: number },
): Promise<Observer<CountReport>> {
  const argv = [
    ...nodeArgv('counting-client'),
    server.address,
    `${server.port}`,
    server.key,
    `${server.pauseMs ?? 0}`,
  ];
  const client = startObserver<CountReport>(fabricExecArgv(lab, argv));
  const deadline = performance.now() + ANSWER_MS;
  while (performance.now() < deadline) {
    const { operations, lostBecause } = await client.report();
    if (lostBecause !== null) throw new LabError(`the client got no connection: ${lostBecause}`);
    if (operations > 0) return client;
    await pause(LOOK_MS);
  }
  client.kill();
  throw new LabError(
    `${server.address}:${server.port} accepts connections but has not answered in ${ANSWER_MS} ms`,
  );
}

/** Watches the copies of a container on all hosts of a lab, from the machine. */
export async function startWitness(lab: Lab, container: string): Promise<Observer<CopiesReport>> {
  const cgroups = lab.hosts.map(({ name }) => `${name}=${lab.cgroup}/${name}/${container}`);
  const witness = startObserver<CopiesReport>([...nodeArgv('witness-process'), ...cgroups]);
  await witness.report();
  return witness;
}

/** Starts such a process; standard output is its answers, one line each, in order. */
export function startObserver<Report>(argv: readonly string[]): Observer<Report> {
  const [file = '', ...args] = argv;
  const child = start(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting: ((line: string | undefined) => void)[] = [];
  const output = child.stdout;
  if (!output) throw new LabError(`${file} did not start`);
  let ended = false;
  createInterface({ input: output })
    .on('line', (line) => waiting.shift()?.(line))
    .on('close', () => {
      ended = true;
      for (const resolve of waiting.splice(0)) resolve(undefined);
    });
  const answer = async (ask: () => void): Promise<Report> => {
    const late = () => new LabError(`${argv.at(-1) ?? file}: the observer did not answer in ${ANSWER_MS} ms`);
    let clock: NodeJS.Timeout | undefined;
    const line = await new Promise<string | undefined>((resolve, reject) => {
      if (ended) return resolve(undefined);
      waiting.push(resolve);
      clock = setTimeout(() => reject(late()), ANSWER_MS);
      ask();
    }).finally(() => clearTimeout(clock));
    if (line === undefined)
      throw new LabError(`${argv.at(-1) ?? file}: the observer ended before it answered`);
    return JSON.parse(line) as Report;
  };
  return {
    report: () => answer(() => child.stdin?.write('\n')),
    end: () => answer(() => child.stdin?.end()),
    kill: () => void child.kill('SIGKILL'),
  };
}

/** The argv that runs a program of a folder, from source or from the bundle beside that of whoever asks. @param here the URL of a file there */
export function nodeArgv(program: string, here = import.meta.url): string[] {
  if (here.endsWith('.ts')) {
    return [
      process.execPath,
      '--import',
      import.meta.resolve('tsx'),
      fileURLToPath(new URL(`./${program}.ts`, here)),
    ];
  }
  return [process.execPath, fileURLToPath(new URL(`./${program}.js`, here))];
}
