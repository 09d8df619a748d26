import { describe, expect, it } from 'vitest';
import { candidate, container, factsOf, GIB, needs } from './example-candidates.ts';
import { chooseTarget, rankTargets } from './rank.ts';
import type { Needs } from './verdict.ts';

const reasonsOf = (host: ReturnType<typeof candidate>, more: Partial<Needs> = {}): string[] =>
  (rankTargets(needs(more), [host])[0]?.reasons ?? []).map(({ text }) => text);

describe('a host that fits', () => {
  it('has a score, and no reason against it', () => {
    expect(rankTargets(needs(), [candidate('host2')])).toEqual([
      { host: 'host2', fits: true, score: 66, busy: false, reasons: [], memoryAfter: 7 * GIB },
    ]);
  });
});

describe('every reason against a host', () => {
  it.each<[string, ReturnType<typeof candidate>, Partial<Needs>]>([
    ['it runs there already', candidate('host1'), {}],
    ['it is to be avoided', candidate('host2'), { place: { labels: {}, avoid: ['host2'] } }],
    ['unreachable', candidate('host2', { state: 'unreachable' }), {}],
    ['offline', candidate('host2', { state: 'offline' }), {}],
    ['drained', candidate('host2', { drained: true }), {}],
    ['no label zone=a', candidate('host2'), { place: { labels: { zone: 'a' }, avoid: [] } }],
    [
      'zone is b',
      candidate('host2', { labels: { zone: 'b' } }),
      { place: { labels: { zone: 'a' }, avoid: [] } },
    ],
    ['arm64, not x64', candidate('host2', { facts: { arch: 'arm64' } }), {}],
    ['no criu', candidate('host2', { facts: { criu: null } }), {}],
    ['criu check: no', candidate('host2', { facts: { criuProblem: 'no' } }), {}],
    ['criu 4.0 < 4.2.1', candidate('host2', { facts: { criu: '4.0' } }), {}],
    ['criu 4.10 differs from 4.2.1', candidate('host2', { facts: { criu: '4.10' } }), {}],
    ['no runc', candidate('host2', { facts: { runtimes: {} } }), {}],
    ['runc 1.1.15 < 1.3.6', candidate('host2', { facts: { runtimes: { runc: '1.1.15' } } }), {}],
    ['1.2 GiB of memory short', candidate('host2'), { memory: 9.2 * GIB }],
    ['has a container db', candidate('host2', { containers: [container('db')] }), {}],
    [
      'CPU lacks avx2',
      candidate('host2', { facts: { cpu: { model: 'b', flags: ['fpu', 'sse', 'sse2', 'avx'] } } }),
      {},
    ],
  ])('%s', (reason, host, more) => {
    expect(reasonsOf(host, more)).toContain(reason);
    expect(rankTargets(needs(more), [host])[0]).toMatchObject({ fits: false, score: null });
  });

  it('are all told, not only the first', () => {
    const host = candidate('host2', { drained: true, facts: { criu: '4.0' }, containers: [container('db')] });
    expect(reasonsOf(host)).toEqual(['drained', 'criu 4.0 < 4.2.1', 'has a container db']);
  });

  it('reckon with what is on its way there', () => {
    const host = candidate('host2', { arriving: { count: 1, memory: 7.5 * GIB } });
    expect(reasonsOf(host)).toEqual(['0.5 GiB of memory short', '0.9 GiB of space for images short']);
  });
});

describe('force', () => {
  it.each([
    [{ criu: '4.0' }, true],
    [{ runtimes: { runc: '1.1' } }, true],
    [{ memoryAvailable: 0 }, true],
    [{ cpu: { model: 'b', flags: [] } }, true],
    [{ arch: 'arm64' }, false],
    [{ imagesFree: 0 }, false],
    [{ criu: null }, false],
  ])('%j gives way: %s', (facts, fits) => {
    const [verdict] = rankTargets(needs({ force: true }), [candidate('host2', { facts })]);
    expect(verdict?.fits).toBe(fits);
    expect(verdict?.reasons).toHaveLength(1);
  });
});

describe('the CPU', () => {
  it('of a source that announces no flags asks for none', () => {
    const sourceFacts = factsOf('host1', { cpu: undefined });
    expect(reasonsOf(candidate('host2'), { sourceFacts })).toEqual([]);
  });

  it('is not judged by flags that no program asks for', () => {
    const sourceFacts = factsOf('host1', {
      cpu: { model: 'a', flags: ['fpu', 'sse', 'constant_tsc', 'vmx'] },
    });
    expect(reasonsOf(candidate('host2'), { sourceFacts })).toEqual([]);
  });

  it('lists a few of many', () => {
    const flags = ['fpu', 'avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl', 'vaes'];
    const sourceFacts = factsOf('host1', { cpu: { model: 'a', flags } });
    expect(reasonsOf(candidate('host2'), { sourceFacts })).toEqual([
      'CPU lacks avx512bw, avx512cd, avx512dq, avx512f, avx512vl and 1 more',
    ]);
  });
});

describe('the best target', () => {
  const order = (...hosts: ReturnType<typeof candidate>[]) =>
    rankTargets(needs(), hosts).map(({ host }) => host);

  it('has the most memory after the move', () => {
    const small = candidate('host2', { facts: { memoryAvailable: 3 * GIB } });
    expect(order(small, candidate('host3'))).toEqual(['host3', 'host2']);
  });

  it('has fewer moves under way, the memory being equal', () => {
    expect(order(candidate('host2', { leaving: 1 }), candidate('host3'))).toEqual(['host3', 'host2']);
  });

  it('has fewer containers, all else being equal', () => {
    const crowded = candidate('host2', { containers: [container('a'), container('b')] });
    expect(order(crowded, candidate('host3'))).toEqual(['host3', 'host2']);
  });

  it('is not one that would have to wait while another need not', () => {
    const busy = candidate('host2', {
      arriving: { count: 2, memory: 0 },
      facts: { memoryAvailable: 15 * GIB },
    });
    const full = candidate('host3', { facts: { memoryAvailable: 1.5 * GIB } });
    expect(order(busy, full)).toEqual(['host3', 'host2']);
  });

  it('is the first by name among equals, whatever the order they are given in', () => {
    const [one, two] = [candidate('host2'), candidate('host3')];
    expect(order(one, two)).toEqual(order(two, one));
  });

  it('is told with why', () => {
    expect(chooseTarget(needs(), [candidate('host1'), candidate('host2'), candidate('host3')])).toEqual({
      host: 'host2',
      why: 'host2 is the best of 2 hosts that fit: score 66, 7.0 GiB of memory left after the move',
    });
  });

  it('is nobody where nobody fits, with the reasons of all but the source', () => {
    const hosts = [
      candidate('host1'),
      candidate('host2', { drained: true }),
      candidate('host3', { state: 'offline' }),
    ];
    expect(chooseTarget(needs(), hosts)).toEqual({ host: null, reasons: 'host2: drained; host3: offline' });
    expect(chooseTarget(needs(), [candidate('host1')])).toMatchObject({ reasons: 'there is no other host' });
  });
});
