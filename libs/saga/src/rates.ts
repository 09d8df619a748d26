/** What a migration may take of the wire, in bytes per second. */
import type { Route } from '@cmt/contracts';
import type { Saga } from './state.ts';

/** As it was asked for or was changed since, and its share of the links that it has in common with others. */
export function ratesOf({ request, tuning }: Saga): Pick<Route, 'bandwidth' | 'share'> {
  const asked = tuning?.bandwidth === undefined ? request.options.bandwidth : tuning.bandwidth;
  const share = tuning?.share;
  return {
    ...(asked === undefined || asked === null ? {} : { bandwidth: asked }),
    ...(share === undefined || share === null ? {} : { share }),
  };
}

/** The lower one of the two; infinite where nothing was said. */
export function rateOf(saga: Saga): number {
  const { bandwidth = Infinity, share = Infinity } = ratesOf(saga);
  return Math.min(bandwidth, share);
}
