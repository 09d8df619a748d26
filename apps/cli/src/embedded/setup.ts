/**
 * How the private Redis of a state directory is set up, so that whoever finds it dead starts the same one again:
 * alone on a unix socket, or in the network of a lab for its hosts to reach.
 */
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { RedisSpec } from '@cmt/host';

const Setup = z.object({
  v: z.literal(1),
  /** The lab whose hosts use this Redis, or null. */
  lab: z.string().nullable(),
  tcp: z.object({ bind: z.string(), port: z.int(), password: z.string().min(16) }).nullable(),
  argvPrefix: z.array(z.string()),
});
export type Setup = z.infer<typeof Setup>;

export const alone: Setup = { v: 1, lab: null, tcp: null, argvPrefix: [] };

const fileOf = (stateDir: string): string => join(stateDir, 'embedded.json');

export async function readSetup(stateDir: string): Promise<Setup> {
  const text = await readFile(fileOf(stateDir), 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? alone : Setup.parse(JSON.parse(text));
}

export async function writeSetup(stateDir: string, setup: Setup): Promise<void> {
  await makePrivate(stateDir);
  await writePrivate(fileOf(stateDir), setup);
}

export const forgetSetup = (stateDir: string): Promise<void> => rm(fileOf(stateDir), { force: true });

export const redisDir = (stateDir: string): string => join(stateDir, 'redis');
const socketOf = (stateDir: string): string => join(redisDir(stateDir), 'redis.sock');

export const redisSpec = (stateDir: string, { tcp, argvPrefix }: Setup): RedisSpec => ({
  ...{ dir: redisDir(stateDir), socket: socketOf(stateDir), argvPrefix },
  ...(tcp ? { tcp } : {}),
});

/** For this machine. A unix socket has no host; an address with a password needs one. */
export const redisUrl = (stateDir: string, { tcp }: Setup): string =>
  `unix://${tcp ? `:${tcp.password}@localhost` : ''}${encodeURI(socketOf(stateDir))}`;

/** For the hosts of the lab. */
export const redisUrlInLab = ({ bind, port, password }: NonNullable<Setup['tcp']>): string =>
  `redis://:${password}@${bind}:${port}`;

/** Makes a directory, and sees to it that nobody else can look in. */
export async function makePrivate(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await chmod(dir, 0o700);
}

/** Replaces a JSON file in one step, readable by its owner only. */
export async function writePrivate(file: string, value: unknown): Promise<void> {
  const aside = `${file}.${process.pid}`;
  await writeFile(aside, `${JSON.stringify(value, undefined, 2)}\n`, { mode: 0o600 });
  await rename(aside, file);
}
