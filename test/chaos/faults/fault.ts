/** What a fault is: aimed before the migration begins, struck at its moment, and ended. */
import type { Lab } from '@cmt/lab';
import type { Fleet } from '../../support/fleet.ts';
import type { Station } from '../rows.ts';

/** Where it strikes. */
export interface Scene {
  readonly fleet: Fleet;
  readonly container: string;
  readonly source: string;
  readonly target: string;
  readonly station: Station;
  /** Aborts when the migration has ended, or the run is broken off. */
  readonly over: AbortSignal;
}

export interface Strike {
  /** Milliseconds since 1970 of the blow. */
  readonly at: number;
  /** As it is now, where the fault has changed it. */
  readonly lab?: Lab;
}

/** Ready to strike at once. */
export interface Aimed {
  strike(): Promise<Strike>;
  /** Holds the fault for as long as it lasts, then ends it: what was killed runs again, what was cut is joined. */
  heal(): Promise<void>;
  /** True when it lasts until the migration has ended. */
  readonly lasts?: boolean;
}

/** Makes everything ready that would cost time at the moment of the strike. */
export type Fault = (scene: Scene) => Promise<Aimed>;

export type Victim = 'coordinator' | 'source' | 'target';

/** A fault that found nothing to strike. */
export class NothingStruck extends Error {}
