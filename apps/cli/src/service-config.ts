/**
 * Configuration of `cmt worker` and `cmt coordinator`: with no Redis configured they join the embedded one. What starts that one is
 * loaded where it is wanted: a service keeps what it has read of the CLI for as long as it runs, and it has libraries of its own.
 */
import { networkInterfaces, hostname, type NetworkInterfaceInfo } from 'node:os';
import { join } from 'node:path';
import { BoardConfig, CoordinatorConfig, HostName, WorkerConfig } from '@cmt/contracts';
import type { Joined } from './apps.ts';
import { labelsOf, mergeConfig, readConfigFile, type ConfigSources } from './config.ts';
import { serviceStateDir, userStateDir } from './embedded/state-dir.ts';
import type { CommonFlags } from './verb.ts';

export interface ServiceFlags extends CommonFlags {
  readonly hook?: string[];
  readonly label?: string[];
}

/** @throws {CmtError} CONFIG_INVALID, and everything that starting the embedded Redis can fail with */
export async function workerConfig(flags: ServiceFlags): Promise<Joined<WorkerConfig>> {
  const name = HostName.safeParse(hostname()).data;
  const config = mergeConfig(
    WorkerConfig,
    await sources(flags, { name, address: ownAddress(networkInterfaces()) }),
  );
  return await joined(config, flags, async (stateDir) =>
    join((await embedded()).coordinatorStateDir(stateDir), 'keys'),
  );
}

/** @throws {CmtError} as `workerConfig` */
export async function coordinatorConfig(flags: ServiceFlags): Promise<Joined<CoordinatorConfig>> {
  const config = mergeConfig(CoordinatorConfig, await sources(flags, {}));
  return await joined(config, flags, (stateDir) => join(stateDir, 'trusted'));
}

/** The board of whoever types it keeps its token in their own state directory. @throws {CmtError} as `workerConfig` */
export async function boardConfig(flags: CommonFlags): Promise<Joined<BoardConfig>> {
  const common = await sources(flags, { stateDir: userStateDir(process.env) });
  const config = mergeConfig(BoardConfig, common);
  if (config.redis !== undefined) return { ...config, redis: config.redis };
  const redis = await (await embedded()).ensureEmbedded(config.stateDir);
  return { ...config, redis };
}

/** The first IPv4 address that is not this machine's own. */
export const ownAddress = (interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>): string | undefined =>
  Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

async function sources(flags: ServiceFlags, defaults: ConfigSources['defaults']): Promise<ConfigSources> {
  const { hook, label, ...rest } = flags;
  const lists = { hooks: hook, labels: label && labelsOf(label) };
  return {
    ...{ flags: { ...rest, ...lists }, env: process.env },
    file: await readConfigFile(flags.config, process.env),
    defaults: { stateDir: serviceStateDir(process.env, process.getuid?.()), ...defaults },
  };
}

const embedded = () => import('./embedded/embedded.ts');

/** Without a Redis: the embedded one, and trust in whoever works with it. */
async function joined<Config extends Pick<WorkerConfig, 'redis' | 'trustedKeysDir'>>(
  config: Config,
  flags: ServiceFlags,
  trusted: (stateDir: string) => string | Promise<string>,
): Promise<Joined<Config>> {
  if (config.redis !== undefined) return { ...config, redis: config.redis };
  const stateDir = flags.stateDir ?? (process.env['CMT_STATE_DIR'] || userStateDir(process.env));
  const redis = await (await embedded()).ensureRedis(stateDir);
  return { ...config, redis, trustedKeysDir: config.trustedKeysDir ?? (await trusted(stateDir)) };
}
