/** A laptop beside a lab: `cmt` in the lab's outside world, with an ssh-agent and nothing else; the hosts have no worker of their own. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { MigrationReport } from '@cmt/contracts';
import { run, stopDaemon, stopRedis, tryRun } from '@cmt/host';
import { fabricExecArgv, labDown, labRun, labUp, type Lab } from '@cmt/lab';
import { z } from 'zod';
import { startAgent } from './sshd.ts';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const MIGRATE_MS = 180_000;

const Answer = z.object({
  ok: z.boolean(),
  migration: MigrationReport.optional(),
  error: z.object({ code: z.string(), message: z.string() }).optional(),
});
export type Answer = z.infer<typeof Answer> & { readonly code: number | null; readonly told: string };

export interface Laptop {
  readonly lab: Lab;
  readonly stateDir: string;
  /** Runs a verb to its end. @param agent the socket of an ssh-agent, the right one unless given */
  cmt(args: readonly string[], agent?: string): Promise<Answer>;
  /** `user@host:path` of a host of the lab. */
  at(host: string, path?: string, user?: string): string;
  /** An agent whose key no host knows. */
  readonly strangersAgent: string;
  /** An ssh configuration with further lines. */
  sshConfig(more?: string): Promise<string>;
  /** Redis, coordinator and sessions die at once. */
  kill(): Promise<void>;
  /** Redis alone dies; the next command starts it again. */
  killRedis(): Promise<void>;
  stop(): Promise<void>;
}

export async function startLaptop(what: string): Promise<Laptop> {
  await run(process.execPath, [fileURLToPath(new URL('../../scripts/build.mjs', import.meta.url))], {
    timeoutMs: 120_000,
  });
  const name = `t${what}${process.pid}`;
  const stateDir = await mkdtemp(join(tmpdir(), 'cmt-laptop-'));
  const ends: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const place of await placesOf(stateDir)) await stopDaemon({ dir: place, name: 'keeper' }, 2000);
    await stopDaemon({ dir: stateDir, name: 'coordinator' }, 5000);
    await stopRedis(join(stateDir, 'redis'));
    for (const end of ends) await end();
    await labDown({ name });
    await rm(stateDir, { recursive: true, force: true });
  };
  try {
    const lab = await labUp({ name, hosts: 2 });
    const [key, strange] = [await newKey(stateDir, 'own'), await newKey(stateDir, 'strange')];
    for (const host of lab.hosts) await acceptKey(lab, host.name, '/root', `${key}.pub`);
    const agent = await startAgent(await mkdtemp(join(stateDir, 'a')), key);
    const strangers = await startAgent(await mkdtemp(join(stateDir, 'b')), strange);
    ends.push(agent.stop, strangers.stop);
    return await laptopOf({ lab, stateDir, stop, agent: agent.socket, strangersAgent: strangers.socket });
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Parts extends Pick<Laptop, 'lab' | 'stateDir' | 'stop' | 'strangersAgent'> {
  readonly agent: string;
}

async function laptopOf({ lab, stateDir, stop, agent, strangersAgent }: Parts): Promise<Laptop> {
  const sshConfig = async (more = ''): Promise<string> => {
    const file = join(await mkdtemp(join(stateDir, 'c')), 'ssh_config');
    const known = `UserKnownHostsFile ${lab.knownHostsFile}`;
    await writeFile(file, `${more}\nHost *\n${known}\nStrictHostKeyChecking yes\nIdentityFile none\n`);
    return file;
  };
  const usual = await sshConfig();
  const cmt = async (args: readonly string[], socket = agent): Promise<Answer> => {
    const config = args[0] === 'migrate' && !args.includes('--ssh-config') ? ['--ssh-config', usual] : [];
    const argv = [process.execPath, CLI, ...args, ...config, '--json', '--state-dir', stateDir];
    const [file = '', ...rest] = fabricExecArgv(lab, ['setsid', '--wait', ...argv]);
    const env = { ...noneOfOurs(), SSH_AUTH_SOCK: socket, HOME: stateDir };
    const { code, stdout, stderr } = await tryRun(file, rest, { timeoutMs: MIGRATE_MS, env });
    const last = stdout.trim().split('\n').at(-1) ?? '';
    try {
      return { ...Answer.parse(JSON.parse(last)), code, told: stderr };
    } catch (cause) {
      throw new Error(`cmt ${args.join(' ')} (${String(code)}): ${stdout}${stderr}`, { cause });
    }
  };
  const addressOf = (host: string) => lab.hosts.find(({ name }) => name === host)?.address ?? host;
  return {
    ...{ lab, stateDir, stop, strangersAgent, sshConfig, cmt },
    at: (host, path, user = 'root') => `${user}@${addressOf(host)}${path === undefined ? '' : `:${path}`}`,
    kill: () => killAll(stateDir),
    killRedis: () => killBy([redisPidOf(stateDir)]),
  };
}

/** Nothing of the machine's own cmt configuration reaches a test. */
const noneOfOurs = (): Record<string, string> =>
  Object.fromEntries(
    Object.keys(process.env)
      .filter((name) => name.startsWith('CMT_'))
      .map((name) => [name, '']),
  );

async function newKey(dir: string, name: string): Promise<string> {
  const path = join(dir, name);
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', path], { timeoutMs: 10_000 });
  return path;
}

/** Lets the owner of a key log in. */
export async function acceptKey(lab: Lab, host: string, home: string, publicKey: string): Promise<void> {
  const script = 'mkdir -p "$0/.ssh" && cat >>"$0/.ssh/authorized_keys"';
  const input = await readFile(publicKey, 'utf8');
  await labRun(lab, host, ['sh', '-c', script, home], { timeoutMs: 10_000, input });
}

export const placesOf = async (stateDir: string): Promise<string[]> =>
  (await readdir(join(stateDir, 'ssh')).catch(() => [] as string[]))
    .filter((name) => /^[0-9a-f]{8}$/.test(name))
    .map((name) => join(stateDir, 'ssh', name));

async function killAll(stateDir: string): Promise<void> {
  const keepers = (await placesOf(stateDir)).map((place) => join(place, 'keeper.pid'));
  await killBy([redisPidOf(stateDir), join(stateDir, 'coordinator.pid'), ...keepers]);
}

const redisPidOf = (stateDir: string): string => join(stateDir, 'redis/redis.pid');

async function killBy(files: readonly string[]): Promise<void> {
  for (const file of files) {
    const pid = Number((await readFile(file, 'utf8').catch(() => '')).split(' ')[0]);
    if (pid > 0) killOne(pid);
  }
}

function killOne(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Looks again and again until it is so. Rejects after the limit. */
export async function until(isSo: () => Promise<boolean>, limitMs = 90_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error('it never came to be so');
    await pause(100);
  }
}
