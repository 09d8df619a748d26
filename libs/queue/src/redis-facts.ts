/** What a Redis says about itself, as far as cmt's promises hang on it. */
import type { Redis } from 'ioredis';

export interface RedisFacts {
  readonly version: string;
  /** New with every start of the server. */
  readonly runId: string;
  readonly appendonly: boolean;
  /** `always`, `everysec`, `no`, or null when this user may not ask (ACL without CONFIG). */
  readonly appendfsync: string | null;
  /** Must be `noeviction`: any other policy lets Redis forget jobs. */
  readonly maxmemoryPolicy: string;
  /** The last write to the append-only file went well. */
  readonly appendHealthy: boolean;
}

/** Asks Redis (INFO, CONFIG GET). */
export async function redisFacts(redis: Redis): Promise<RedisFacts> {
  const sections = await Promise.all(['server', 'persistence', 'memory'].map((name) => redis.info(name)));
  const info = parseInfo(sections.join('\n'));
  return {
    version: info.get('redis_version') ?? 'unknown',
    runId: info.get('run_id') ?? '',
    appendonly: info.get('aof_enabled') === '1',
    appendfsync: await appendfsync(redis),
    maxmemoryPolicy: info.get('maxmemory_policy') ?? 'unknown',
    appendHealthy: (info.get('aof_last_write_status') ?? 'ok') === 'ok',
  };
}

/** True when every write that Redis has acknowledged is on its disk. */
export const keepsEveryWrite = (facts: RedisFacts): boolean =>
  facts.appendonly && facts.appendfsync === 'always' && facts.appendHealthy && facts.runId !== '';

async function appendfsync(redis: Redis): Promise<string | null> {
  try {
    const [, value] = (await redis.config('GET', 'appendfsync')) as [string?, string?];
    return value ?? null;
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('NOPERM')) return null;
    throw error;
  }
}

/** The text of INFO: `key:value` lines under `# Section` lines. */
function parseInfo(text: string): Map<string, string> {
  const pairs = text
    .split(/\r?\n/)
    .filter((line) => line.includes(':'))
    .map((line): [string, string] => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]);
  return new Map(pairs);
}
