/** OpenTelemetry itself, loaded only where traces are configured (traces.ts). */
import { context, SpanStatusCode, trace, type Context } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  NodeTracerProvider,
  ParentBasedSampler,
  SamplingDecision,
  type Sampler,
  type SamplingResult,
} from '@opentelemetry/sdk-trace-node';
import { resourceFromAttributes } from '@opentelemetry/resources';
import type { Telemetry } from 'bullmq';
import { BullMQOtel } from 'bullmq-otel';
import { hostname } from 'node:os';
import type { Facts, Tracing } from './tracing.ts';

/** Spans that may begin a trace; the loops of BullMQ (fetching, looking for stalled jobs) would each make one of their own. */
const ROOTS = ['migrate', 'process cmt.migrations'];

/** Milliseconds after which finished spans are sent, unless OTEL_BSP_SCHEDULE_DELAY says otherwise. */
const SEND_AFTER_MS = 1_000;

class RootsOfMigrations implements Sampler {
  shouldSample(_context: Context, _trace: string, name: string): SamplingResult {
    const isRoot = ROOTS.includes(name);
    return { decision: isRoot ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD };
  }
  toString(): string {
    return 'RootsOfMigrations';
  }
}

/** Opens the tracing of this process. */
export function openTracing(service: string): Tracing {
  const delay = Number(process.env['OTEL_BSP_SCHEDULE_DELAY'] ?? SEND_AFTER_MS);
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': service, 'host.name': hostname() }),
    sampler: new ParentBasedSampler({
      root: new RootsOfMigrations(),
      remoteParentSampled: new AlwaysOnSampler(),
    }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter(), { scheduledDelayMillis: delay })],
  });
  // The context of asynchronous work, and its way into jobs (W3C trace context).
  provider.register();
  const tracer = trace.getTracer('cmt');
  return {
    telemetry: withoutResults(new BullMQOtel({ tracerName: 'cmt' })),
    span: <T>(name: string, facts: Facts, work: () => Promise<T>) =>
      tracer.startActiveSpan(name, { attributes: facts }, async (open) => {
        try {
          return await work();
        } catch (error) {
          open.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.name : '' });
          throw error;
        } finally {
          open.end();
        }
      }),
    close: async () => {
      await provider.shutdown();
      context.disable();
    },
  };
}

type BullSpan = ReturnType<Telemetry['tracer']['startSpan']>;

/** BullMQ writes results and errors of jobs into its spans: hook output may be among them. */
function withoutResults(telemetry: Telemetry): Telemetry {
  const { tracer, contextManager } = telemetry;
  return {
    contextManager,
    tracer: {
      startSpan: (name, options, parent) => {
        const open: BullSpan = tracer.startSpan(name, options, parent);
        return {
          setSpanOnContext: (at) => open.setSpanOnContext(at) as Context,
          setAttribute: (key, value) => open.setAttribute(key, value),
          setAttributes: (attributes) => open.setAttributes(attributes),
          addEvent: (event) => open.addEvent(event),
          recordException: (error) => open.addEvent(error instanceof Error ? error.name : 'exception'),
          end: () => open.end(),
        };
      },
    },
  };
}
