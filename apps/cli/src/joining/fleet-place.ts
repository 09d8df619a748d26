/** What a newcomer has to be told of the fleet: where its Redis is, as hosts reach it, and whose orders to obey. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ClientConfig } from '@cmt/contracts';
import { coordinatorStateDir } from '../embedded/embedded.ts';
import { readSetup } from '../embedded/setup.ts';
import { invalid } from '../flags/invalid.ts';

export interface FleetPlace {
  /** `redis://host:port` or `rediss://…`, without user and password. */
  readonly redis: string;
  /** PEM by file name. */
  readonly trusted: ReadonlyMap<string, string>;
}

export interface PlaceFlags {
  readonly hostRedis?: string;
  readonly coordinatorKey?: readonly string[];
}

/** @throws {CmtError} REQUEST_INVALID when the hosts could not reach this Redis, or nobody knows whom to trust */
export async function fleetPlace(config: ClientConfig, flags: PlaceFlags): Promise<FleetPlace> {
  return { redis: await redisFor(config, flags), trusted: await trustedBy(config, flags) };
}

async function redisFor({ redis, stateDir }: ClientConfig, { hostRedis }: PlaceFlags): Promise<string> {
  const { tcp } = await readSetup(stateDir);
  const ofLab = tcp === null ? undefined : `redis://${tcp.bind}:${tcp.port}`;
  const url = hostRedis ?? redis ?? ofLab;
  const parsed = url !== undefined && URL.canParse(url) ? new URL(url) : null;
  const isOut = parsed !== null && ['redis:', 'rediss:'].includes(parsed.protocol) && parsed.hostname !== '';
  if (parsed === null || !isOut || /^(localhost|127\.|\[::1\])/.test(parsed.hostname))
    throw invalid(
      '--host-redis',
      'say how hosts reach Redis: redis://ADDRESS:PORT; the one used here is this machine’s alone',
    );
  return `${parsed.protocol}//${parsed.hostname}:${parsed.port || '6379'}`;
}

async function trustedBy(config: ClientConfig, { coordinatorKey }: PlaceFlags): Promise<Map<string, string>> {
  const named =
    coordinatorKey ??
    (config.trustedKeysDir === undefined ? await embeddedKey(config) : await keysIn(config.trustedKeysDir));
  const pems = await Promise.all(
    named.map(
      async (file) => [basename(file), await readFile(file, 'utf8').catch(() => unreadable(file))] as const,
    ),
  );
  if (pems.length > 0) return new Map(pems);
  throw invalid(
    '--coordinator-key',
    'name the public key of each coordinator (its <stateDir>/keys/cmt.pub): workers obey nobody else',
  );
}

const keysIn = async (dir: string): Promise<string[]> =>
  (await readdir(dir)).filter((name) => name.endsWith('.pub')).map((name) => join(dir, name));

async function embeddedKey({ redis, stateDir }: ClientConfig): Promise<string[]> {
  const file = join(coordinatorStateDir(stateDir), 'keys/cmt.pub');
  const isThere = await readFile(file).then(
    () => true,
    () => false,
  );
  return redis === undefined && isThere ? [file] : [];
}

function unreadable(file: string): never {
  throw invalid('--coordinator-key', `${file} cannot be read`);
}
