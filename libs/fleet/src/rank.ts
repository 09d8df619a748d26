/** All hosts as targets of one container, the best first. Pure. */
import type { HostName } from '@cmt/contracts';
import { gib, verdictOn, type Candidate, type Needs, type Verdict } from './verdict.ts';

/** Those that fit before those that do not; those that need not wait before those that would; then by score and name. */
export function rankTargets(needs: Needs, hosts: readonly Candidate[]): Verdict[] {
  const most = Math.max(1, ...hosts.map(({ record, arriving }) => record.containers.length + arriving.count));
  return hosts
    .map((host) => verdictOn(needs, host, most))
    .sort(
      (a, b) =>
        Number(b.fits) - Number(a.fits) ||
        Number(a.busy) - Number(b.busy) ||
        (b.score ?? 0) - (a.score ?? 0) ||
        a.host.localeCompare(b.host),
    );
}

/** The target that was found and why, or why there is none. */
export type Choice =
  { readonly host: HostName; readonly why: string } | { readonly host: null; readonly reasons: string };

/** The best host that fits. */
export function chooseTarget(needs: Needs, hosts: readonly Candidate[]): Choice {
  const ranked = rankTargets(needs, hosts);
  const [best] = ranked;
  if (best?.fits === true) return { host: best.host, why: whyChosen(best, ranked) };
  const others = ranked.filter(({ host }) => host !== needs.source);
  if (others.length === 0) return { host: null, reasons: 'there is no other host' };
  return { host: null, reasons: others.map(reasonsText).join('; ') };
}

/** One sentence on the first of a ranking. */
export function whyChosen(best: Verdict, ranked: readonly Verdict[]): string {
  const fitting = ranked.filter(({ fits }) => fits).length;
  const memory = best.memoryAfter === null ? '' : `, ${gib(best.memoryAfter)} of memory left after the move`;
  const choice = fitting === 1 ? 'the only host that fits' : `the best of ${fitting} hosts that fit`;
  return `${best.host} is ${choice}: score ${best.score ?? 0}${memory}`;
}

const reasonsText = ({ host, reasons }: Verdict): string =>
  `${host}: ${reasons.map(({ text }) => text).join(', ')}`;
