/** What the fleet page shows, as it travels to the browser. Times are milliseconds since 1970 on the board's clock. */

export interface HostCard {
  readonly name: string;
  readonly address: string;
  readonly state: 'online' | 'unreachable' | 'offline';
  /** Since when nothing was heard of it; null while it is online. */
  readonly silentSince: number | null;
  /** Nothing new is placed on it. */
  readonly drained: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly cpus: number;
  /** Bytes. */
  readonly memoryTotal: number;
  readonly memoryAvailable: number;
  readonly imagesFree: number;
  /** Versions of kernel and tools, for people. */
  readonly software: readonly string[];
  /** Why this host cannot checkpoint, or null. */
  readonly problem: string | null;
  /** The first of them; `containerCount` is all. */
  readonly containers: readonly { readonly id: string; readonly status: string }[];
  readonly containerCount: number;
}

/** A stretch of a migration's time. `rest` is what has not been told yet. */
export interface Stretch {
  readonly kind: 'step' | 'blackout' | 'failed' | 'now';
  readonly name: string;
  readonly ms: number;
}

export interface MigrationCard {
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
  /** Code and sentence, where it failed. */
  readonly failure: { readonly code: string; readonly message: string } | null;
  readonly strip: readonly Stretch[];
}

/** What is true of the fleet as a whole. */
export interface FleetFacts {
  readonly at: number;
  /** Somebody takes migrations from the queue. */
  readonly coordinator: boolean;
  readonly underWay: number;
  readonly waiting: number;
}

export interface FleetView {
  readonly facts: FleetFacts;
  readonly hosts: readonly HostCard[];
  readonly migrations: readonly MigrationCard[];
}

/** From one view to the next: what is new or different, and what is gone. */
export interface FleetChange extends FleetView {
  readonly goneHosts: readonly string[];
  readonly goneMigrations: readonly string[];
}
