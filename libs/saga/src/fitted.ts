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

/** The line that comes nearest to these (oldest first), the newest counting most. What they cannot tell is assumed. */
export function fitted(costs: readonly Cost[], assumed: Line): Line {
  if (costs.length === 0) return assumed;
  const weights = costs.map((_, n) => (1 - SMOOTHING) ** (costs.length - 1 - n));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const mean = (of: (cost: Cost) => number): number =>
    costs.reduce((sum, cost, n) => sum + (weights[n] ?? 0) * of(cost), 0) / total;
  const [bytes, ms] = [mean((cost) => cost.bytes), mean((cost) => cost.ms)];
  const variance = mean((cost) => (cost.bytes - bytes) ** 2);
  const slope = mean((cost) => (cost.bytes - bytes) * (cost.ms - ms)) / variance;
  const tellsRate = variance > (SPREAD * bytes) ** 2 && slope > 0;
  return through({ bytes, ms }, tellsRate ? 1 / slope : assumed.rate);
}

/** The line of that rate through a point; steeper where it would begin below nothing. */
function through({ bytes, ms }: Cost, rate: number): Line {
  const fixedMs = ms - bytes / rate;
  return fixedMs >= 0 ? { fixedMs, rate } : { fixedMs: 0, rate: bytes / Math.max(ms, Number.EPSILON) };
}
