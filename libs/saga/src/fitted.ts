/** A straight line through measured costs: so much in any case, and so much for each byte. Pure. */
import type { Cost } from '@cmt/contracts';

export interface Line {
  readonly fixedMs: number;
  /** Bytes per millisecond. */
  readonly rate: number;
}

/** Milliseconds for so many bytes. */
export const costOf = ({ fixedMs, rate }: Line, bytes: number): number => fixedMs + bytes / rate;

/** Weight of the newest measurement in a smoothed one (as KubeVirt smooths bandwidth). */
const SMOOTHING = 0.4;
/** Sizes nearer to each other than this share say nothing about the rate. */
const SPREAD = 0.1;
/** Share of how much the times differ that a rate must account for: what differs for other reasons says nothing about it either. */
const EXPLAINED = 0.5;

/** The line that comes nearest to these (oldest first), the newest counting most. What they cannot tell is assumed. */
export function fitted(costs: readonly Cost[], assumed: Line): Line {
  if (costs.length === 0) return assumed;
  const mean = meanOf(costs);
  const centre = centreOf(costs);
  const { bytes, ms } = centre;
  const [sizes, times] = [mean((cost) => (cost.bytes - bytes) ** 2), mean((cost) => (cost.ms - ms) ** 2)];
  const together = mean((cost) => (cost.bytes - bytes) * (cost.ms - ms));
  const tellsRate =
    sizes > (SPREAD * bytes) ** 2 && together > 0 && together ** 2 >= EXPLAINED * sizes * times;
  return through(centre, tellsRate ? sizes / together : assumed.rate);
}

/** The line of a known rate that comes nearest to these, of which there is one at least. */
export const beside = (costs: readonly Cost[], rate: number): Line => through(centreOf(costs), rate);

/** Milliseconds of such a cost, of which there is one at least, whatever its bytes. */
export const usualMs = (costs: readonly Cost[]): number => centreOf(costs).ms;

function centreOf(costs: readonly Cost[]): Cost {
  const mean = meanOf(costs);
  return { bytes: mean((cost) => cost.bytes), ms: mean((cost) => cost.ms) };
}

/** Weighted means over costs, the newest counting most. */
function meanOf(costs: readonly Cost[]): (of: (cost: Cost) => number) => number {
  const weights = costs.map((_, n) => (1 - SMOOTHING) ** (costs.length - 1 - n));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return (of) => costs.reduce((sum, cost, n) => sum + (weights[n] ?? 0) * of(cost), 0) / total;
}

/** The line of that rate through a point; steeper where it would begin below nothing. */
function through({ bytes, ms }: Cost, rate: number): Line {
  const fixedMs = ms - bytes / rate;
  return fixedMs >= 0 ? { fixedMs, rate } : { fixedMs: 0, rate: bytes / Math.max(ms, Number.EPSILON) };
}
