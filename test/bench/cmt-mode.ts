/** cmt itself, by its command line. */
import { answerOf } from '../support/fleet.ts';
import { REDIS_ID } from '../../apps/lab/src/demo/redis-container.ts';
import type { MigrationReport } from '@cmt/contracts';
import { run } from '@cmt/host';
import type { Mode } from './modes.ts';
import { CLI } from './site.ts';

export const cmtMode = (name: string, flags: readonly string[]): Mode => ({
  name,
  async unavailable() {
    if (flags.length === 0) return null;
    const { stdout } = await run(process.execPath, [CLI, 'migrate', '--help'], { timeoutMs: 20_000 });
    const [flag = '', value = ''] = flags;
    // The words about one flag end where those about the next begin.
    const [, about = ''] = stdout.split(`\n  ${flag} `);
    const [own = ''] = about.split(/\n {2}-/);
    return own.includes(value) ? null : `this cmt has no ${flags.join(' ')}`;
  },
  async move({ fleet }, from, to) {
    const answer = await answerOf<{ migration?: MigrationReport; error?: { message: string } }>(fleet, [
      ...['migrate', REDIS_ID, '--src', from, '--dst', to, ...flags],
    ]);
    const { migration } = answer;
    if (migration?.state !== 'done')
      throw new Error(`cmt: ${migration?.message ?? answer.error?.message ?? 'no answer'}`);
    const { bytesSent, blackout } = migration;
    return {
      imageBytes: bytesSent ?? null,
      criuMs: blackout?.criuMs ?? null,
      ownMs: blackout?.ownMs ?? null,
    };
  },
});
