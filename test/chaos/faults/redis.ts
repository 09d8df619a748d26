/** Redis killed with SIGKILL: started again from its append-only file at once, after an outage, or with its data gone. */
import { findDaemon } from '@cmt/host';
import { isAlive } from '@cmt/lab';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ensureRedis } from '../../../apps/cli/src/embedded/embedded.ts';
import { redisDir } from '../../../apps/cli/src/embedded/setup.ts';
import type { Fault } from './fault.ts';

const LOOK_MS = 10;

/** @param outageMs milliseconds without Redis; @param keepsData false: it comes back empty */
export const killRedis =
  (outageMs: number, keepsData = true): Fault =>
  async ({ fleet: { stateDir } }) => {
    const dir = redisDir(stateDir);
    const redis = await findDaemon({ dir, name: 'redis' });
    if (!redis) throw new Error('no Redis runs');
    return {
      strike: () => {
        process.kill(redis.pid, 'SIGKILL');
        return Promise.resolve({ at: Date.now() });
      },
      heal: async () => {
        await pause(outageMs);
        // On a busy machine a killed process takes its time to die, and holds its lock until then.
        while (isAlive(redis)) await pause(LOOK_MS);
        if (!keepsData) await rm(join(dir, 'appendonlydir'), { recursive: true });
        await ensureRedis(stateDir);
      },
    };
  };
