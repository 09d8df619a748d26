import type { HostFacts } from '@cmt/contracts';
import { describe, expect, it } from 'vitest';
import { diagnoseMachine } from './machine-diagnoses.ts';

const facts: HostFacts = {
  ...{
    name: 'alpha',
    kernel: '6.1',
    arch: 'x64',
    criu: '4.2.1',
    runtimes: { runc: '1.3.6' },
    criuProblem: null,
  },
  ...{ features: { dirtyTracking: true, lazyPages: true }, cpus: 2 },
  ...{ memoryTotal: 8e9, memoryAvailable: 4e9, imagesFree: 4e9 },
};
const told = (more: Partial<HostFacts>, isRoot = true, missing: string[] = []): string[] =>
  diagnoseMachine({ facts: { ...facts, ...more }, isRoot, missing })
    .filter(({ level }) => level !== 'ok')
    .map(({ level, area, message }) => `${level} ${area}: ${message}`);

describe('diagnoseMachine', () => {
  it('has nothing to say about a machine that is well', () => {
    expect(told({})).toEqual([]);
    expect(diagnoseMachine({ facts, isRoot: true, missing: [] }).length).toBeGreaterThan(3);
  });

  it.each<[string, string[], string[]]>([
    ['no CRIU', told({ criu: null }), ['problem criu: CRIU is not installed']],
    ['an old CRIU', told({ criu: '4.1.1' }), ['warning criu: CRIU 4.1.1 is older than 4.2']],
    ['a newer CRIU', told({ criu: '5.0' }), []],
    ['a check that fails', told({ criuProblem: 'no tun' }), ['problem criu: `criu check` says: no tun']],
    ['no runtime', told({ runtimes: {} }), ['problem runtime: there is no container runtime']],
    ['a user', told({}, false), ['problem machine: CRIU needs root, and this process is not']],
    ['a program that is missing', told({}, true, ['rsync']), ['problem machine: rsync is not installed']],
    ['little space', told({ imagesFree: 1e6 }), ['warning machine: only 1 MB are free where images go']],
    [
      'no dirty tracking',
      told({ features: { dirtyTracking: false, lazyPages: true } }),
      ['note criu: the kernel does not track dirty pages: no pre-copy rounds'],
    ],
  ])('tells of %s', (_, said, expected) => {
    expect(said).toEqual(expected);
  });

  it('names a remedy for everything that is not well', () => {
    const all = diagnoseMachine({
      facts: { ...facts, criu: null, runtimes: {}, imagesFree: 0 },
      ...{ isRoot: false, missing: ['nft'] },
    });
    for (const { level, remedy } of all) expect(remedy === '').toBe(level === 'ok');
  });
});
