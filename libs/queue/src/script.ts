/** Small Lua programs that Redis runs as one step. */
import type { Redis } from 'ioredis';

/** Runs a script; every key it touches must be named in `scriptKeys`. */
export const runScript = (
  redis: Redis,
  lua: string,
  scriptKeys: readonly string[],
  args: readonly (string | number)[],
): Promise<unknown> => redis.eval(lua, scriptKeys.length, ...scriptKeys, ...args);
