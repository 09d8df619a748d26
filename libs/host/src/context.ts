/**
 * What a step may use besides its input: the one argument behind which all effects sit.
 * The worker builds it; steps and their parts never look elsewhere.
 */
import type { Decision, Epoch, HostEndpoint, MigrationId, Resolution, WorkerConfig } from '@cmt/contracts';
import type { Journal } from './journal.ts';
import type { Machine } from './machine.ts';
import type { Network } from './network/network.ts';
import type { Runtimes } from './runtimes/runtime.ts';
import type { Links } from './transports/transport.ts';
import type { Receiver } from './transports/receiver.ts';

/** The write-once record that ends a hand-over (lifecycle H3), as a host sees it. Rejects when Redis does not answer in time. */
export interface Decisions {
  /** The decision of that epoch, or null while there is none. */
  read(migration: MigrationId, epoch: Epoch, signal: AbortSignal): Promise<Decision | null>;
  /** Compare-and-set: votes, and returns whichever vote was first. */
  settle(migration: MigrationId, epoch: Epoch, vote: Decision, signal: AbortSignal): Promise<Decision>;
  /** What an operator has said about a migration that nobody could decide, or null (lifecycle H8). */
  resolution(migration: MigrationId, signal: AbortSignal): Promise<Resolution | null>;
}

/** Something a step tells the people who watch. */
export interface Told {
  readonly kind: 'progress' | 'note' | 'warning';
  readonly text: string;
  readonly done?: number;
  readonly total?: number;
}

export interface StepContext {
  readonly config: WorkerConfig;
  /** How other hosts reach this one: what `prepare` answers. */
  readonly endpoint: HostEndpoint;
  readonly migration: MigrationId;
  readonly epoch: Epoch;
  /** Aborts when the step is cancelled, out of time, or this worker may no longer work on it. */
  readonly signal: AbortSignal;
  readonly machine: Machine;
  readonly journal: Journal;
  readonly decisions: Decisions;
  readonly runtimes: Runtimes;
  readonly network: Network;
  /** Source: data connections to targets, one per migration, opened before the freeze and kept over the steps of a leg. */
  readonly links: Links;
  /** Target: expects images and files of prepared migrations. */
  readonly receiver: Receiver;
  readonly tell: (told: Told) => void;
}
