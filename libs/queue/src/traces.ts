/**
 * OpenTelemetry: one trace per migration, from whoever asked for it over the coordinator to the hosts' steps. BullMQ carries
 * the context in its jobs; here is what is added to that.
 *
 * INVARIANTS
 * - Off unless an OTLP endpoint is configured; then nothing of OpenTelemetry is even loaded.
 * - A collector that is slow or away costs spans, never a migration: what is sent waits for nobody, and `close` is bounded.
 * - Spans name migrations, hosts, containers and steps. What jobs hold and return is no part of them.
 */
import type { Telemetry } from 'bullmq';
import { within } from './bounded.ts';
import type { Facts, Tracing } from './tracing.ts';

/** OpenTelemetry's own variables (opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables). */
type Environment = Readonly<Record<string, string | undefined>>;

/** Milliseconds that a process waits at its end for a collector. */
const CLOSE_MS = 2_000;

/** OpenTelemetry is one per process by its own design, and so is this. */
let tracing: Tracing | null = null;

export const isTraced = (env: Environment): boolean =>
  env['OTEL_SDK_DISABLED'] !== 'true' &&
  Boolean(env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_ENDPOINT']);

/**
 * Begins to trace, where that is configured. To be called before any queue or worker is opened.
 * @param service what this process is, e.g. `cmt-coordinator`; OTEL_SERVICE_NAME overrides it
 */
export async function startTraces(
  service: string,
  env: Environment = process.env,
): Promise<{ close(): Promise<void> }> {
  if (tracing !== null || !isTraced(env)) return { close: () => Promise.resolve() };
  const opened = await openedTracing(env['OTEL_SERVICE_NAME'] || service);
  tracing = opened;
  return opened === null ? { close: () => Promise.resolve() } : closing(opened);
}

/** Traces are never worth a process: one that cannot trace works without. */
async function openedTracing(service: string): Promise<Tracing | null> {
  try {
    const { openTracing } = await import('./traces-sdk.ts');
    return openTracing(service);
  } catch (error) {
    process.emitWarning(`no traces: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

function closing(opened: Tracing): { close(): Promise<void> } {
  return {
    close: async () => {
      tracing = null;
      await within(
        opened.close().catch(() => undefined),
        CLOSE_MS,
        () => undefined,
      );
    },
  };
}

/** Option of a queue or worker. */
export const traced = (): { telemetry?: Telemetry } =>
  tracing === null ? {} : { telemetry: tracing.telemetry };

/** Does the work as a span of its own below the present one; without tracing, just does it. */
export const span = <T>(name: string, facts: Facts, work: () => Promise<T>): Promise<T> =>
  tracing === null ? work() : tracing.span(name, facts, work);
