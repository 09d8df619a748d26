import { describe, expect, it } from 'vitest';
import type { HostRecord } from '@cmt/contracts';
import { parseRequest, resolveRequest, type LocatedRequest, type RequestFlags } from './request.ts';

const host = (name: string, address: string) => ({ facts: { name }, endpoint: { address } }) as HostRecord;
const fleet = [host('host1', '10.0.0.1'), host('host2', '10.0.0.2')];

const parse = (flags: Partial<RequestFlags>, container: string | undefined = 'redis'): LocatedRequest => {
  const parsed = parseRequest({
    ...{ container, validateOnly: false, newId: 'm-new', now: 17 },
    flags: { src: 'host1', dst: 'host2', ...flags },
  });
  return { ...parsed, source: parsed.source! };
};
const resolve = (flags: Partial<RequestFlags> = {}, container?: string) =>
  resolveRequest(parse(flags, container), fleet);

describe('a request', () => {
  it('has the contract’s defaults for what was not typed', () => {
    expect(resolve()).toMatchObject({
      ...{ v: 1, id: 'm-new', container: 'redis', source: 'host1', target: 'host2', requestedAt: 17 },
      options: { mode: 'auto', maxDowntimeMs: 300, tcp: 'established', force: false, hooks: [] },
    });
  });

  it('may leave its source to the fleet, which has to know the container for that', () => {
    const asked = { flags: { dst: 'host2' }, validateOnly: false, newId: 'm-new', now: 17 };
    expect(parseRequest({ ...asked, container: 'redis' }).source).toBeNull();
    expect(() => parseRequest({ ...asked, container: undefined })).toThrow(/--src: name the container/);
  });

  it('carries every flag to its place', () => {
    const request = resolve({
      ...{ src: 'root@10.0.0.1:/srv/my redis/', dst: 'host2:/srv/b', id: 'nightly-7', mode: 'pre-copy' },
      ...{
        maxDowntime: '1.5s',
        maxRounds: '3',
        timeout: '5m',
        onNoConvergence: 'abort',
        tcp: 'close',
        transport: 'tcp',
        compress: 'zstd',
        sharedRootfs: true,
        force: true,
      },
      ...{ stepTimeout: '3s' },
      ...{ confirmFor: '2s', hookTimeout: '1m', hookPreRestore: ["@target /bin/a 'b c'", '/bin/d'] },
    });
    expect(request).toMatchObject({
      ...{ id: 'nightly-7', source: 'host1', sourceBundle: '/srv/my redis', targetBundle: '/srv/b' },
      options: {
        ...{ mode: 'pre-copy', maxDowntimeMs: 1500, maxRounds: 3, tcp: 'close', transport: 'tcp' },
        ...{ timeoutMs: 300_000, onNoConvergence: 'abort' },
        ...{ compress: 'zstd', sharedRootfs: true, force: true, confirmForMs: 2000, stepTimeoutMs: 3000 },
        hooks: [
          { name: 'pre-restore', place: 'target', argv: ['/bin/a', 'b c'], timeoutMs: 60_000 },
          { name: 'pre-restore', place: 'coordinator', argv: ['/bin/d'], timeoutMs: 60_000 },
        ],
      },
    });
  });

  it('may name the bundle in place of the container', () => {
    const asked = { container: undefined, validateOnly: true, newId: 'm', now: 0 };
    const parsed = parseRequest({ ...asked, flags: { src: 'host1:/srv/b', dst: 'host2' } });
    expect(resolveRequest({ ...parsed, source: parsed.source! }, fleet)).toMatchObject({
      sourceBundle: '/srv/b',
      options: { validateOnly: true },
    });
    expect(() => parseRequest({ ...asked, flags: { src: 'host1', dst: 'host2' } })).toThrow(
      'container: name the container or its bundle',
    );
  });

  it.each<[string, Partial<RequestFlags>, string?]>([
    ['container', {}, '../etc'],
    ['--id', { id: '7' }],
    ['--mode', { mode: 'warp' }],
    ['--tcp', { tcp: 'maybe' }],
    ['--transport', { transport: 'pigeon' }],
    ['--compress', { compress: 'gzip' }],
    ['--runtime', { runtime: 'lxc' }],
    ['--max-rounds', { maxRounds: '33' }],
    ['--max-rounds', { maxRounds: '-1' }],
    ['--max-downtime', { maxDowntime: '0' }],
    ['--max-downtime', { maxDowntime: 'soon' }],
    ['--bandwidth', { bandwidth: 'fast' }],
    ['--bandwidth', { bandwidth: '50' }],
    ['--bandwidth', { bandwidth: '1KiB/s' }],
    ['--confirm-for', { confirmFor: '11m' }],
    ['--step-timeout', { stepTimeout: '10ms' }],
    ['--hook-timeout', { hookTimeout: 'x', hookPreFreeze: ['/bin/true'] }],
    ['--hook-pre-freeze', { hookPreFreeze: ['/bin/a | b'] }],
    ['--src', { src: 'host1:relative' }],
    ['--dst', { dst: 'host2:/a/../b' }],
  ])('that is wrong names %s before any host is asked', (flag, flags, container) => {
    expect(() => parse(flags, container)).toThrow(`The request is not valid: ${flag}: `);
  });
});

describe('hosts', () => {
  it('are found by name and by address', () => {
    expect(resolve({ src: '10.0.0.2', dst: 'host1' })).toMatchObject({ source: 'host2', target: 'host1' });
  });

  it('that nobody knows are answered with those that are, and the one probably meant', () => {
    expect(() => resolve({ dst: 'hots2' })).toThrow(
      expect.objectContaining({
        failure: {
          code: 'HOST_UNKNOWN',
          details: { host: 'hots2', known: 'host1, host2; did you mean host2?' },
        },
      }),
    );
    expect(() => resolveRequest(parse({}), [])).toThrow('No worker named host1');
  });

  it('must be two, however they are written', () => {
    expect(() => resolve({ src: 'host1:/a', dst: 'root@10.0.0.1:/b' })).toThrow(
      'Source and target are both host1.',
    );
  });
});
