/** How a migration stands, as far as that takes no report. Pure. */
export interface Standing {
  readonly state: string;
  /** It ended before anything was begun (`endedUnbegun`). */
  readonly isUnbegun: boolean;
}

/** Whether a migration that stands so was begun and is over, and its hosts should hold nothing of it any more. */
export const isTidyEnd = (standing: Standing | null): boolean =>
  standing !== null && !standing.isUnbegun && TIDY_ENDS.includes(standing.state);
const TIDY_ENDS = ['done', 'rolled-back', 'cancelled'];
