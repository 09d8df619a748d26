/** Where a verb finds its Redis: the configured one, or the private one, started when it does not run. */
import { ClientConfig } from '@cmt/contracts';
import { mergeConfig, readConfigFile } from './config.ts';
import { userStateDir } from './embedded/state-dir.ts';
import type { CommonFlags } from './verb.ts';

/** What the verb is told by flags, environment and file. @throws {CmtError} CONFIG_INVALID */
export async function clientConfig(flags: CommonFlags): Promise<ClientConfig> {
  const file = await readConfigFile(flags.config, process.env);
  const defaults = { stateDir: userStateDir(process.env), logLevel: 'silent' };
  return mergeConfig(ClientConfig, { flags: { ...flags }, env: process.env, file, defaults });
}

/** Its address. @throws {CmtError} REDIS_MISSING */
export const redisOf = async ({ redis, stateDir }: ClientConfig): Promise<string> =>
  redis ?? (await startEmbedded(stateDir));

/** With the sessions that this machine had: it may have been away. */
export async function startEmbedded(stateDir: string): Promise<string> {
  const { ensureEmbedded } = await import('./embedded/embedded.ts');
  const { reviveSessions } = await import('./agentless/sessions.ts');
  const url = await ensureEmbedded(stateDir);
  await reviveSessions(stateDir);
  return url;
}
