/** Small Lua programs that Redis runs as one step. */
import type { Redis } from 'ioredis';
import { createHash } from 'node:crypto';

/**
 * Runs a script; every key it touches must be named in `scriptKeys`. Its text is sent only to a Redis that does not know it:
 * after a start of Redis, or of this process.
 */
export async function runScript(
  redis: Redis,
  lua: string,
  scriptKeys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> {
  try {
    return await redis.evalsha(sha1Of(lua), scriptKeys.length, ...scriptKeys, ...args);
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
    return await redis.eval(lua, scriptKeys.length, ...scriptKeys, ...args);
  }
}

/** One entry for each script of the program. */
const known = new Map<string, string>();

function sha1Of(lua: string): string {
  const sha = known.get(lua) ?? createHash('sha1').update(lua).digest('hex');
  known.set(lua, sha);
  return sha;
}
