/** A migration as one strip: its steps in order, the blackout in one piece. Pure. */
import { isEnd, type MigrationReport } from '@cmt/contracts';
import { plan } from '@cmt/saga';
import type { Stretch } from './fleet-view.ts';

const IN_BLACKOUT: ReadonlySet<string> = new Set(
  plan.filter(({ blackout }) => blackout).map(({ name }) => name),
);

/** True for a row between the freeze and the release. */
export const isBlackoutRow = (name: string): boolean => IN_BLACKOUT.has(name);

type Report = Pick<MigrationReport, 'steps' | 'blackout' | 'step' | 'state'>;

/**
 * Rows of the blackout overlap on two hosts: where its length is known they are one stretch of that length, otherwise
 * the longest of them stands for all.
 */
export function stripOf(report: Report): Stretch[] {
  const strip: Stretch[] = [];
  for (const { name, ok, ms } of report.steps) {
    const last = strip.at(-1);
    if (!ok) strip.push({ kind: 'failed', name, ms });
    else if (!isBlackoutRow(name)) strip.push({ kind: 'step', name, ms });
    else if (last?.kind === 'blackout') strip[strip.length - 1] = { ...last, ms: Math.max(last.ms, ms) };
    else strip.push({ kind: 'blackout', name: 'blackout', ms });
  }
  const known = report.blackout?.totalMs;
  const at = strip.findLastIndex(({ kind }) => kind === 'blackout');
  const measured = strip[at];
  if (known !== undefined && measured !== undefined) strip[at] = { ...measured, ms: known };
  if (!isEnd(report.state) && report.step !== null) strip.push({ kind: 'now', name: report.step, ms: 0 });
  return strip;
}
