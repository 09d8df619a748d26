/**
 * The page that Prometheus reads. Counters and histograms are those that coordinators keep in Redis (libs/queue/src/tally.ts),
 * gauges are looked up at that moment: nothing is remembered by this process, so every board tells the same, and a start
 * resets nothing.
 */
import { BLACKOUT_BOUNDS_MS, DURATION_BOUNDS_MS, STEP_BOUNDS_MS } from '@cmt/queue';
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { HostCard } from '../view/fleet-view.ts';
import type { Snapshot } from './snapshot.ts';
import { addStoredHistogram, type StoredHistogramSpec } from './stored-histogram.ts';

/** The board's own process: the one thing that differs from board to board. */
const ownProcess = new Registry();
collectDefaultMetrics({ register: ownProcess, prefix: 'cmt_board_' });

export const CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

const HISTOGRAMS: readonly StoredHistogramSpec[] = [
  {
    name: 'cmt_migration_duration_seconds',
    help: 'From the start of a migration to its end, by how it ended.',
    ...{ word: 'duration', labels: ['state'], bounds: DURATION_BOUNDS_MS },
  },
  {
    name: 'cmt_blackout_seconds',
    help: 'How long containers stood still in migrations that were released on the target.',
    ...{ word: 'blackout', labels: [], bounds: BLACKOUT_BOUNDS_MS },
  },
  {
    name: 'cmt_step_duration_seconds',
    help: 'Duration of single steps, all tries.',
    ...{ word: 'step', labels: ['step'], bounds: STEP_BOUNDS_MS },
  },
];

interface CounterSpec {
  readonly name: string;
  readonly help: string;
  readonly word: string;
  readonly labels: readonly string[];
}

const COUNTERS: readonly CounterSpec[] = [
  {
    name: 'cmt_migrations_total',
    help: 'Migrations that have ended, by how.',
    ...{ word: 'end', labels: ['state'] },
  },
  {
    name: 'cmt_host_migrations_total',
    help: 'Migrations that have ended, by host, direction and how.',
    ...{ word: 'host', labels: ['host', 'direction', 'state'] },
  },
  {
    name: 'cmt_failures_total',
    help: 'Migrations that ended with a failure, by its code and the host that it names.',
    ...{ word: 'failure', labels: ['code', 'host'] },
  },
  {
    name: 'cmt_image_bytes_total',
    help: 'Bytes of memory images sent from host to host.',
    ...{ word: 'bytes', labels: ['from', 'to'] },
  },
];

/** The page, in the text format 0.0.4. */
export async function metricsText(snapshot: Snapshot): Promise<string> {
  const registry = new Registry();
  for (const { name, help, word, labels } of COUNTERS) {
    const counter = new Counter({ name, help, labelNames: [...labels], registers: [registry] });
    for (const { words, amount } of snapshot.tally)
      if (words[0] === word)
        counter.inc(Object.fromEntries(labels.map((label, at) => [label, words[at + 1] ?? ''])), amount);
  }
  for (const spec of HISTOGRAMS) addStoredHistogram(registry, spec, snapshot.tally);
  addGauges(registry, snapshot);
  return `${await registry.metrics()}\n${await ownProcess.metrics()}`;
}

const HOST_GAUGES: readonly [name: string, help: string, value: (host: HostCard) => number][] = [
  [
    'cmt_host_up',
    'Whether the worker of the host has announced itself lately.',
    (h) => Number(h.state === 'online'),
  ],
  ['cmt_host_drained', 'Whether nothing new is placed on the host.', (h) => Number(h.drained)],
  ['cmt_host_containers', 'Containers on the host.', (h) => h.containerCount],
  ['cmt_host_memory_bytes', 'Memory of the host.', (h) => h.memoryTotal],
  ['cmt_host_memory_available_bytes', 'Memory that is free for use.', (h) => h.memoryAvailable],
  ['cmt_host_images_free_bytes', 'Free space where images go.', (h) => h.imagesFree],
];

function addGauges(registry: Registry, { coordinator, hosts, depths }: Snapshot): void {
  const registers = [registry];
  for (const [name, help, value] of HOST_GAUGES) {
    const gauge = new Gauge({ name, help, labelNames: ['host'], registers });
    for (const host of hosts) gauge.set({ host: host.name }, value(host));
  }
  const up = { name: 'cmt_coordinator_up', help: 'Whether anybody takes migrations from the queue.' };
  new Gauge({ ...up, registers }).set(Number(coordinator));
  const jobs = { name: 'cmt_queue_jobs', help: 'Jobs in a queue, by state.' };
  const depth = new Gauge({ ...jobs, labelNames: ['queue', 'state'], registers });
  for (const { queue, states } of depths)
    for (const [state, count] of Object.entries(states)) depth.set({ queue, state }, count);
}
