/** cmt itself, by its command line. */
import { answerOf } from '../support/fleet.ts';
import { REDIS_ID } from '../../apps/lab/src/demo/redis-container.ts';
import type { MigrationReport, RoundFigures } from '@cmt/contracts';
import { runc } from './engine.ts';
import { whatLacks, type Feature } from './features.ts';
import type { Mode } from './modes.ts';

/** @param needs what both hosts must be able to do */
export const cmtMode = (name: string, flags: readonly string[], needs?: Feature): Mode => ({
  ...{ name, engine: runc },
  unavailable: ({ fleet }) => (needs === undefined ? Promise.resolve(null) : whatLacks(fleet.lab, needs)),
  async move({ fleet }, from, to) {
    const answer = await answerOf<{ migration?: MigrationReport; error?: { message: string } }>(fleet, [
      ...['migrate', REDIS_ID, '--src', from, '--dst', to, ...flags],
    ]);
    const { migration } = answer;
    if (migration?.state !== 'done')
      throw new Error(`cmt: ${migration?.message ?? answer.error?.message ?? 'no answer'}`);
    const { bytesSent, imageBytes = bytesSent, blackout, steps } = migration;
    // It waits for the last page, and is otherwise over after the time in which cmt watches the copy.
    const confirm = flags.includes('post-copy') ? steps.find(({ name }) => name === 'confirm') : undefined;
    return {
      imageBytes: imageBytes ?? null,
      criuMs: blackout?.criuMs ?? null,
      ownMs: blackout?.ownMs ?? null,
      drainMs: confirm?.ms ?? null,
      says: accountOf(migration),
    };
  },
});

/** The parts of the blackout, and what its rounds brought at which rate: what a client writes is to be seen against that. */
function accountOf({ blackout, preCopy }: MigrationReport): string {
  const parts = Object.entries(blackout ?? {}).map(
    ([name, ms]) => `${name.replace('Ms', '')} ${Math.round(ms)}`,
  );
  return [...parts, ...(preCopy?.rounds.map(roundText) ?? [])].join(', ');
}

function roundText({ bytesSent, sendMs, ms }: RoundFigures, n: number): string {
  const MiB = bytesSent / 2 ** 20;
  return `round ${n + 1}: ${MiB.toFixed(1)} MiB in ${Math.round(ms)} ms, sent at ${((1000 * MiB) / sendMs).toFixed(1)} MiB/s`;
}
