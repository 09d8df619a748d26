/**
 * What this machine keeps of a host that it works on over ssh: one folder each, for the process that keeps the session and for
 * the commands that ask for it. It is there from the first word to the end of the worker on that host.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure, HostName } from '@cmt/contracts';
import type { DaemonPlace, SessionSockets } from '@cmt/host';
import { z } from 'zod';
import { makePrivate, writePrivate } from '../embedded/setup.ts';

/** Which host, and how it is reached. */
export const SessionSpec = z.object({
  v: z.literal(1),
  name: HostName,
  ssh: z.object({
    destination: z.string(),
    port: z.int().optional(),
    config: z.string().optional(),
  }),
});
export type SessionSpec = z.infer<typeof SessionSpec>;

/** How the session stands. `lost`: it was up, and is being made again. */
export const SessionStatus = z.object({
  state: z.enum(['connecting', 'up', 'lost', 'failed']),
  /** Tells this start of the keeper from those before. */
  keeper: z.string(),
  /** Of the host, once it has been asked. */
  machine: z.string().nullable(),
  failure: Failure.nullable(),
});
export type SessionStatus = z.infer<typeof SessionStatus>;

const rootOf = (stateDir: string): string => join(stateDir, 'ssh');

/** Short, because the path of a socket may be. */
export const placeOf = (stateDir: string, name: HostName): string =>
  join(rootOf(stateDir), createHash('sha256').update(name).digest('hex').slice(0, 8));

export const keeperOf = (place: string): DaemonPlace => ({ dir: place, name: 'keeper' });
export const socketsIn = (place: string, redis: string): SessionSockets => ({
  ...{ redis, relay: join(place, 'relay.sock') },
  receive: receiveSocketIn(place),
});
export const receiveSocketIn = (place: string): string => join(place, 'receive.sock');

export async function writeSpec(place: string, spec: SessionSpec): Promise<void> {
  await makePrivate(place);
  await writePrivate(join(place, 'session.json'), spec);
}
export const writeStatus = (place: string, status: SessionStatus): Promise<void> =>
  writePrivate(join(place, 'status.json'), status);

export const readSpec = (place: string): Promise<SessionSpec | null> =>
  readJson(join(place, 'session.json'), SessionSpec);
export const readStatus = (place: string): Promise<SessionStatus | null> =>
  readJson(join(place, 'status.json'), SessionStatus);

export const forget = (place: string): Promise<void> => rm(place, { recursive: true, force: true });

/** Folders of all hosts that are, or were, worked on and whose workers have not left. */
export async function allPlaces(stateDir: string): Promise<string[]> {
  const names = await readdir(rootOf(stateDir)).catch(() => []);
  return names.filter((name) => /^[0-9a-f]{8}$/.test(name)).map((name) => join(rootOf(stateDir), name));
}

/** Names this client to the hosts: made once, kept with its keys. */
export async function clientId(stateDir: string): Promise<string> {
  const file = join(rootOf(stateDir), 'client.json');
  const known = await readJson(file, z.object({ id: z.string().regex(/^[0-9a-f]{16}$/) }));
  if (known !== null) return known.id;
  await makePrivate(rootOf(stateDir));
  const id = randomBytes(8).toString('hex');
  await writePrivate(file, { id });
  return id;
}

async function readJson<S extends z.ZodType>(file: string, schema: S): Promise<z.infer<S> | null> {
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
