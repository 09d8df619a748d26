/**
 * The embedded default: with no Redis configured, a private one and a coordinator run on this machine, and go on
 * running when the CLI has ended. It is the very engine that a fleet runs.
 */
import { copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  COORDINATOR_NODE_FLAGS,
  startDaemon,
  startRedis,
  stopDaemon,
  stopRedis,
  type DaemonPlace,
} from '@cmt/host';
import { loadKeyPair } from '@cmt/queue';
import { bundleDir } from '../apps.ts';
import { forgetSetup, makePrivate, readSetup, redisDir, redisSpec, redisUrl, writePrivate } from './setup.ts';

/** Milliseconds a coordinator may take to let go of its work. */
const COORDINATOR_STOP_MS = 15_000;

const coordinatorOf = (stateDir: string): DaemonPlace => ({ dir: stateDir, name: 'coordinator' });
/** State of the coordinator: it has a key of its own. */
export const coordinatorStateDir = (stateDir: string): string => join(stateDir, 'coordinator');

/** Starts Redis unless it runs. @returns its address for this machine. */
export async function ensureRedis(stateDir: string): Promise<string> {
  await makePrivate(stateDir);
  const setup = await readSetup(stateDir);
  await startRedis(redisSpec(stateDir, setup));
  return redisUrl(stateDir, setup);
}

/** Starts Redis and a coordinator that obeys the key of this state directory, unless they run. @returns Redis's address. */
export async function ensureEmbedded(stateDir: string): Promise<string> {
  const redis = await ensureRedis(stateDir);
  const trusted = join(stateDir, 'trusted');
  await Promise.all([loadKeyPair(stateDir), makePrivate(trusted)]);
  await copyFile(join(stateDir, 'keys/cmt.pub'), join(trusted, 'client.pub'));
  const config = join(stateDir, 'coordinator.json');
  await writePrivate(config, {
    ...{ redis, stateDir: coordinatorStateDir(stateDir), trustedKeysDir: trusted },
    // Whoever could change this list could run the hook anyway: it is the same user.
    hooks: 'any',
  });
  await ensureCoordinator(stateDir, config);
  return redis;
}

async function ensureCoordinator(stateDir: string, config: string): Promise<void> {
  const cli = join(bundleDir(), 'cli.js');
  const node = [process.execPath, ...COORDINATOR_NODE_FLAGS];
  const argv = [...withoutOurVariables(), ...node, cli, 'coordinator', '--config', config];
  await startDaemon({ ...coordinatorOf(stateDir), argv });
}

/** `CMT_*` of whoever starts it are about this client; to the coordinator they would stand above its file (env(1)). */
const withoutOurVariables = (): string[] => {
  const ours = Object.keys(process.env).filter((name) => name.startsWith('CMT_'));
  return ['env', ...ours.flatMap((name) => ['-u', name])];
};

/** Ends both; data, keys and logs stay. */
export async function stopEmbedded(stateDir: string): Promise<void> {
  await stopDaemon(coordinatorOf(stateDir), COORDINATOR_STOP_MS);
  await stopRedis(redisDir(stateDir));
}

/** Ends both and forgets every migration and host: what they were about is gone. Keys and logs stay. */
export async function forgetEmbedded(stateDir: string): Promise<void> {
  await stopEmbedded(stateDir);
  await rm(redisDir(stateDir), { recursive: true, force: true });
  await forgetSetup(stateDir);
}
