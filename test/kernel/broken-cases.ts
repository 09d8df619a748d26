/**
 * What becomes of moves with rounds when something breaks in one of their phases: the container is the same to the last page, on exactly one
 * host, and nothing is left on either. Run like `fleetCases`, with the same container.
 */
import assert from 'node:assert/strict';
import { onceFrozen, refuseTransfers, shadow, untilSent, type Mend } from '../support/broken-tools.ts';
import { crash, type Move } from '../support/fleet.ts';
import type { Case } from './cases.ts';
import { ID, type Moved } from './moved.ts';

const PRE_COPY = ['--mode', 'pre-copy', '--max-downtime', '1ms', '--max-rounds', '2'];
const HYBRID = ['--mode', 'hybrid', '--max-downtime', '1ms', '--max-rounds', '1'];
/** At which a round of all pages takes 8 s, and its middle is met. */
const SLOWLY = ['--bandwidth', '2MiB/s'];
const MIDDLE = 4 << 20;

/** Fails whatever CRIU does for a runtime. */
const REFUSES = '[ "$1" != swrk ] || exit 1';

interface Breach {
  readonly when: string;
  readonly flags: readonly string[];
  /** The row of the plan at whose start it breaks. */
  readonly row: string;
  readonly breaks: (moved: Moved, move: Move) => Promise<Mend | undefined>;
  /** What becomes of the migration. */
  readonly ends: readonly string[];
}

const kills =
  (who: 'coordinator' | 'from' | 'to') =>
  async ({ fleet }: Moved, move: Move): Promise<undefined> => {
    await crash(fleet, who === 'coordinator' ? who : { worker: move[who] });
  };

const cutsLink = async ({ fleet: { lab } }: Moved, { from, to }: Move): Promise<Mend> => {
  await untilSent(lab, from, MIDDLE);
  return await refuseTransfers(lab, to);
};

const shadows =
  (which: 'from' | 'to', script: string) =>
  ({ fleet: { lab } }: Moved, move: Move): Promise<Mend> =>
    shadow(lab, move[which], 'criu', script);

const EITHER = ['done', 'rolled-back'];
const BACK = ['rolled-back'];

const breaches: readonly Breach[] = [
  {
    when: 'the link breaks in the middle of a round',
    ...{ flags: [...PRE_COPY, ...SLOWLY], row: 'pre-dump', breaks: cutsLink, ends: BACK },
  },
  {
    when: 'CRIU fails in a round',
    ...{ flags: PRE_COPY, row: 'sync-files', breaks: shadows('from', REFUSES), ends: BACK },
  },
  {
    when: 'the worker of the source is killed in a round',
    ...{ flags: [...PRE_COPY, ...SLOWLY], row: 'pre-dump', breaks: kills('from'), ends: EITHER },
  },
  {
    when: 'the worker of the target is killed in a round',
    ...{ flags: [...PRE_COPY, ...SLOWLY], row: 'pre-dump', breaks: kills('to'), ends: EITHER },
  },
  {
    when: 'the coordinator is killed in a round',
    ...{ flags: PRE_COPY, row: 'pre-dump', breaks: kills('coordinator'), ends: EITHER },
  },
  {
    when: 'CRIU is killed in the last dump',
    ...{ flags: PRE_COPY, row: 'freeze-and-dump', ends: BACK },
    breaks: shadows('from', onceFrozen(ID, 'kill -KILL $$')),
  },
  {
    when: 'the worker of the source is killed in the last dump',
    ...{ flags: PRE_COPY, row: 'freeze-and-dump', breaks: kills('from'), ends: EITHER },
  },
  {
    when: 'the target cannot restore what came in rounds',
    ...{ flags: PRE_COPY, row: 'freeze-and-dump', breaks: shadows('to', REFUSES), ends: BACK },
  },
  {
    when: 'the worker of the target is killed at the release',
    ...{ flags: PRE_COPY, row: 'release', breaks: kills('to'), ends: EITHER },
  },
  {
    when: 'hybrid: the link breaks in the middle of a round',
    ...{ flags: [...HYBRID, ...SLOWLY], row: 'pre-dump', breaks: cutsLink, ends: BACK },
  },
  {
    when: 'hybrid: the target cannot restore',
    ...{ flags: HYBRID, row: 'freeze-and-dump', breaks: shadows('to', REFUSES), ends: BACK },
  },
  {
    when: 'hybrid: the workers are killed while pages follow',
    ...{ flags: HYBRID, row: 'confirm', ends: ['done'] },
    breaks: async (moved, move) => {
      await kills('from')(moved, move);
      return await kills('to')(moved, move);
    },
  },
];

export const brokenCases: readonly Case[] = breaches.map(({ when, flags, row, breaks, ends }) => ({
  name: `when ${when}, it runs on one host and is whole`,
  run: async ({ moved }) => {
    const report = await moved.moveAnd(flags, row, (move) => breaks(moved, move));
    assert.ok(ends.includes(report.state), JSON.stringify([report.state, report.message]));
  },
}));
