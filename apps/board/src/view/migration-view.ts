/** What a migration's own page shows, as it travels to the browser. Times are milliseconds since 1970, on Redis's clock. */

export interface Bar {
  readonly host: string;
  readonly from: number;
  /** Null while it is under way. */
  readonly to: number | null;
  readonly ok: boolean | null;
  /** How far it is, or why it failed. */
  readonly note: string;
}

export type RowState = 'done' | 'failed' | 'now' | 'to come' | 'skipped' | 'not reached';

export interface Row {
  readonly name: string;
  readonly kind: 'step' | 'hook';
  readonly side: string;
  readonly does: string;
  readonly blackout: boolean;
  readonly isUndo: boolean;
  readonly state: RowState;
  readonly bars: readonly Bar[];
}

export interface Timeline {
  readonly from: number;
  /** Null while the migration is under way. */
  readonly to: number | null;
  readonly rows: readonly Row[];
  /** When nothing of the container ran; `exact` once both clocks have been compared. */
  readonly blackout: { readonly from: number; readonly to: number | null; readonly exact: boolean } | null;
  /** False when only the durations are known: the bars stand one after the other. */
  readonly placed: boolean;
}

export interface Line {
  readonly place: string;
  readonly at: number;
  readonly host: string;
  readonly kind: string;
  readonly step: string;
  readonly text: string;
}

/** A name and its value, for people. */
export type Fact = readonly [name: string, value: string];

export interface MigrationView {
  readonly at: number;
  readonly id: string;
  readonly container: string;
  readonly from: string;
  readonly to: string;
  readonly state: string;
  readonly ended: boolean;
  readonly step: string | null;
  readonly requestedAt: number;
  readonly totalMs: number;
  readonly blackoutMs: number | null;
  readonly blackoutParts: readonly { readonly name: string; readonly ms: number }[];
  readonly timeline: Timeline;
  readonly facts: readonly Fact[];
  readonly failure: {
    readonly code: string;
    readonly message: string;
    readonly remedy: string;
    readonly log: string | null;
  } | null;
  readonly alarms: readonly { readonly host: string; readonly text: string }[];
  readonly findings: readonly {
    readonly code: string;
    readonly severity: string;
    readonly host: string;
    readonly message: string;
    readonly remedy: string;
  }[];
  readonly hooks: readonly { readonly name: string; readonly ok: boolean; readonly ms: number }[];
}
