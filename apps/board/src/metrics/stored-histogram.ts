/** A histogram whose counts are kept elsewhere: buckets as they were counted, not observations of this process. */
import { Histogram, type Registry } from 'prom-client';
import type { TallyCount } from '@cmt/queue';

export interface StoredHistogramSpec {
  readonly name: string;
  readonly help: string;
  /** First word of its counters, and the names of the labels that follow. */
  readonly word: string;
  readonly labels: readonly string[];
  /** Milliseconds, upper bounds. */
  readonly bounds: readonly number[];
}

interface Value {
  readonly metricName: string;
  readonly labels: Record<string, string | number>;
  readonly value: number;
}

class StoredHistogram extends Histogram {
  readonly #values: Value[];

  constructor(spec: StoredHistogramSpec, registry: Registry, values: Value[]) {
    super({ name: spec.name, help: spec.help, registers: [registry] });
    this.#values = values;
  }

  override get(): ReturnType<Histogram['get']> {
    const { name, help } = this as unknown as { name: string; help: string };
    const object = { name, help, type: 'histogram', aggregator: 'sum', values: this.#values };
    return Promise.resolve(object as unknown as Awaited<ReturnType<Histogram['get']>>);
  }

  getForPromString(): ReturnType<Histogram['get']> {
    return this.get();
  }
}

/** Adds the histogram as it stands; seconds, as Prometheus wants them. */
export function addStoredHistogram(
  registry: Registry,
  spec: StoredHistogramSpec,
  tally: readonly TallyCount[],
): void {
  const series = new Map<string, Map<string, number>>();
  for (const { words, amount } of tally) {
    if (words[0] !== spec.word) continue;
    const key = words.slice(1, 1 + spec.labels.length).join('|');
    const rest = words.slice(1 + spec.labels.length).join('|');
    series.set(key, (series.get(key) ?? new Map<string, number>()).set(rest, amount));
  }
  const values = [...series].flatMap(([key, counts]) => valuesOf(spec, key.split('|'), counts));
  new StoredHistogram(spec, registry, values);
}

function valuesOf(
  { name, labels, bounds }: StoredHistogramSpec,
  words: readonly string[],
  counts: ReadonlyMap<string, number>,
): Value[] {
  const own = Object.fromEntries(labels.map((label, at) => [label, words[at] ?? '']));
  let below = 0;
  const buckets = bounds.map((bound): Value => {
    below += counts.get(`le|${bound}`) ?? 0;
    return { metricName: `${name}_bucket`, labels: { ...own, le: bound / 1000 }, value: below };
  });
  const count = below + (counts.get('le|more') ?? 0);
  return [
    ...buckets,
    { metricName: `${name}_bucket`, labels: { ...own, le: '+Inf' }, value: count },
    { metricName: `${name}_sum`, labels: own, value: (counts.get('sum') ?? 0) / 1000 },
    { metricName: `${name}_count`, labels: own, value: count },
  ];
}
