/** What it is to trace: as traces.ts wants it, and traces-sdk.ts does it. */
import type { Telemetry } from 'bullmq';

/** What describes a span. */
export type Facts = Readonly<Record<string, string | number | boolean>>;

/** The tracing of this process, as traces-sdk.ts makes it. */
export interface Tracing {
  /** For BullMQ. */
  readonly telemetry: Telemetry;
  span<T>(name: string, facts: Facts, work: () => Promise<T>): Promise<T>;
  /** Sends what is left. */
  close(): Promise<void>;
}
