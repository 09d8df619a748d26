import type { HostFacts, TargetSurvey } from '@cmt/contracts';
import { describe, expect, it } from 'vitest';
import { blocking, judge, type Evidence } from './judge.ts';
import { facts, inspection, request, survey } from '../test/world.ts';

interface Change {
  readonly options?: Record<string, unknown>;
  readonly source?: Partial<HostFacts>;
  readonly target?: Partial<HostFacts>;
  readonly survey?: Partial<TargetSurvey>;
  readonly memory?: number;
}

const evidence = (change: Change): Evidence => ({
  options: request(change.options).options,
  inspection: { ...inspection, memory: change.memory ?? inspection.memory },
  source: { ...facts('alpha', true), ...change.source },
  survey: { ...survey, ...change.survey, facts: { ...survey.facts, ...change.target } },
});

const unable = (name: string): Pick<HostFacts, 'features'> => ({
  features: { ...facts(name, true).features, lazyPages: false },
});

/** As a worker announces itself that knows nothing of it. */
const older = (name: string): Pick<HostFacts, 'features'> => {
  const { dirtyTracking, lazyPages } = facts(name, true).features;
  return { features: { dirtyTracking, lazyPages } };
};

const cases: [code: string, severity: 'hard' | 'soft' | 'note', change: Change][] = [
  ['CRIU_MISSING', 'hard', { target: { criu: null } }],
  ['CRIU_MISSING', 'hard', { source: { criu: null } }],
  ['RUNTIME_MISSING', 'hard', { target: { runtimes: {} } }],
  ['CRIU_CHECK_FAILED', 'hard', { target: { criuProblem: 'no uffd' } }],
  ['RSYNC_MISSING', 'hard', { survey: { rsync: false } }],
  ['NO_DIRTY_TRACKING', 'hard', { options: { mode: 'pre-copy' }, source: facts('alpha', false) }],
  ['NO_DIRTY_TRACKING', 'hard', { options: { onNoConvergence: 'abort' }, source: facts('alpha', false) }],
  ['NO_LAZY_PAGES', 'hard', { options: { mode: 'post-copy' }, source: unable('alpha') }],
  ['NO_LAZY_PAGES', 'hard', { options: { mode: 'post-copy' }, target: unable('beta') }],
  ['POST_COPY_RISK', 'note', { options: { mode: 'post-copy' } }],
  ['POST_COPY_RISK', 'note', { options: { onNoConvergence: 'post-copy' } }],
  ['POST_COPY_RISK', 'note', { options: { mode: 'hybrid' }, source: facts('alpha', true) }],
  ['NO_LAZY_PAGES', 'hard', { options: { onNoConvergence: 'post-copy' }, target: unable('beta') }],
  ['NO_ZSTD', 'hard', { options: { compress: 'zstd' }, source: older('alpha') }],
  ['NO_ZSTD', 'hard', { options: { compress: 'zstd' }, target: older('beta') }],
  ['ARCH_DIFFERS', 'hard', { target: { arch: 'arm64' } }],
  ['CRIU_VERSION_DIFFERS', 'soft', { target: { criu: '4.0' } }],
  ['RUNTIME_VERSION_DIFFERS', 'soft', { target: { runtimes: { runc: '1.1' } } }],
  ['CPU_DIFFERS', 'soft', { survey: { cpuProblem: 'CPU features missing: avx512f' } }],
  ['MEMORY_SHORT', 'soft', { target: { memoryAvailable: 1 } }],
  ['IMAGES_SPACE_SHORT', 'hard', { target: { imagesFree: 1 } }],
  ['IMAGES_ON_DISK', 'note', { target: { imagesFree: 1, spillFree: 1e12 } }],
  ['IMAGES_SPACE_SHORT', 'hard', { target: { imagesFree: 1, spillFree: 1 } }],
  ['DISK_SHORT', 'hard', { survey: { bundleFree: 1 } }],
  ['NAME_TAKEN', 'hard', { survey: { nameTaken: true } }],
  ['CONTAINER_BUSY', 'hard', { survey: { busyWith: 'm2' } }],
  ['ADDRESS_TAKEN', 'hard', { survey: { addressesTaken: ['10.0.0.9'] } }],
  ['BRIDGE_MISSING', 'hard', { survey: { missingBridges: ['br0'] } }],
  ['MOUNT_MISSING', 'hard', { survey: { missingMounts: ['/data'] } }],
  ['BUNDLE_EXISTS', 'soft', { survey: { bundle: 'foreign' } }],
  ['BUNDLE_MISSING', 'hard', { options: { sharedRootfs: true } }],
];

describe('judge', () => {
  it('has nothing to say about two hosts that fit', () => {
    expect(judge(evidence({}))).toEqual([]);
  });

  it.each(cases)('%s is a %s finding that names its host and a remedy', (code, severity, change) => {
    const [finding, ...others] = judge(evidence(change));
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ code, severity });
    expect(finding?.message).toMatch(/alpha|beta/);
    expect(finding?.remedy).not.toBe('');
  });

  it('has no hybrid where there can be no rounds, and names the mode that is the same without', () => {
    const findings = judge(evidence({ options: { mode: 'hybrid' }, source: facts('alpha', false) }));
    expect(blocking(findings, true)).toMatchObject([
      { code: 'NO_DIRTY_TRACKING', remedy: expect.stringContaining('--mode post-copy') as string },
    ]);
  });

  it('has nothing against packed images where both hosts know of them', () => {
    expect(judge(evidence({ options: { compress: 'zstd' } }))).toEqual([]);
  });

  it('forces exactly the soft ones', () => {
    const both = judge(evidence({ survey: { nameTaken: true, cpuProblem: 'avx' } }));
    expect(blocking(both, false).map(({ code }) => code)).toEqual(['CPU_DIFFERS', 'NAME_TAKEN']);
    expect(blocking(both, true).map(({ code }) => code)).toEqual(['NAME_TAKEN']);
  });
});
