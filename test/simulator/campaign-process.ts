/** A process of a campaign: plays the seeds it is given, and answers with their tally. */
import { setMaxListeners } from 'node:events';
import { added, type Tally } from './campaign.ts';
import { calibrate, playSeed, type Run } from './simulate.ts';

// Hundreds of effects listen to the same signal; stacks of foreseen failures are nobody's business here.
setMaxListeners(0);
Error.stackTraceLimit = 0;

const tallyOf = ({ scenario, events, faultsFired, violations, crashPoints, ends }: Run): Tally => ({
  runs: 1,
  events,
  faults: faultsFired,
  undisturbed: faultsFired === 0 ? 1 : 0,
  violations: violations.length,
  failing: violations.length > 0 ? [scenario.seed] : [],
  crashPoints: [...crashPoints],
  byEnd: ends.reduce<Record<string, number>>((by, end) => ({ ...by, [end]: (by[end] ?? 0) + 1 }), {}),
});

const calibrated = calibrate();

process.on('message', ({ from, to }: { from: number; to: number }) => {
  void (async () => {
    await calibrated;
    let sum = tallyOf(await playSeed(from));
    for (let seed = from + 1; seed < to; seed += 1) sum = added(sum, tallyOf(await playSeed(seed)));
    process.send?.(sum);
  })();
});
