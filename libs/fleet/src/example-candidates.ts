/** Hosts for the tests of this folder. */
import type { ContainerSummary, HostFacts } from '@cmt/contracts';
import type { Candidate, Needs } from './verdict.ts';

export const GIB = 1024 ** 3;

export const factsOf = (name: string, more: Partial<HostFacts> = {}): HostFacts => ({
  ...{ name, kernel: '6.18', arch: 'x64', criu: '4.2.1', criuProblem: null, runtimes: { runc: '1.3.6' } },
  features: { dirtyTracking: false, lazyPages: true },
  cpu: { model: 'a CPU', flags: ['fpu', 'sse', 'sse2', 'avx', 'avx2'] },
  ...{ cpus: 2, memoryTotal: 16 * GIB, memoryAvailable: 8 * GIB, imagesFree: 8 * GIB },
  ...more,
});

export const container = (id: string, memory?: number, status = 'running'): ContainerSummary => ({
  ...{ id, runtime: 'runc', status, bundle: `/srv/${id}`, pid: 7 },
  ...(memory === undefined ? {} : { memory }),
});

type More = Partial<Omit<Candidate, 'record'>> & {
  readonly facts?: Partial<HostFacts>;
  readonly labels?: Record<string, string>;
  readonly containers?: readonly ContainerSummary[];
};

export const candidate = (
  name: string,
  { facts, labels = {}, containers = [], ...more }: More = {},
): Candidate => ({
  ...{ name, state: 'online', drained: false, arriving: { count: 0, memory: 0 }, leaving: 0, maxArriving: 2 },
  record: { facts: factsOf(name, facts), labels, containers: [...containers] },
  ...more,
});

export const needs = (more: Partial<Needs> = {}): Needs => ({
  ...{ container: 'db', runtime: 'runc', source: 'host1', sourceFacts: factsOf('host1'), memory: GIB },
  ...{ place: { labels: {}, avoid: [] }, force: false },
  ...more,
});
