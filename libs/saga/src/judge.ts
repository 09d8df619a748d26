/** Judges whether a container can move: facts of both hosts in, findings out. Pure. */
import {
  imagesNeed,
  type Finding,
  type HostFacts,
  type Inspection,
  type MigrationOptions,
  type TargetSurvey,
} from '@cmt/contracts';
import { lazyFindings, postCopyFindings } from './restoring.ts';

export interface Evidence {
  readonly options: MigrationOptions;
  readonly inspection: Inspection;
  readonly source: HostFacts;
  readonly survey: TargetSurvey;
}

/** What the facts of both hosts say. The scan of the live container has its own findings (step `inspect`). */
export function judge(evidence: Evidence): Finding[] {
  return [
    ...tools(evidence),
    ...compression(evidence),
    ...postCopyFindings(evidence.options, evidence.source, evidence.survey.facts),
    ...lazyFindings(evidence.options, evidence.inspection, evidence.survey.facts),
    ...versions(evidence),
    ...cpu(evidence),
    ...space(evidence),
    ...names(evidence),
    ...files(evidence),
  ];
}

/** Findings that stop a migration: the hard ones, and the soft ones unless forced. */
export const blocking = (findings: readonly Finding[], force: boolean): Finding[] =>
  findings.filter(({ severity }) => severity === 'hard' || (severity === 'soft' && !force));

type Rule = (evidence: Evidence) => Finding[];

const finding =
  (severity: Finding['severity']) =>
  (code: string, host: string, message: string, remedy: string): Finding => ({
    code,
    severity,
    host,
    message,
    remedy,
  });
const hard = finding('hard');
const soft = finding('soft');
const note = finding('note');
const when = (condition: boolean, make: () => Finding): Finding[] => (condition ? [make()] : []);

const tools: Rule = ({ options, inspection, source, survey }) => {
  const runtime = inspection.runtime;
  const missing = [source, survey.facts].flatMap((host) => [
    ...when(host.criu === null, () =>
      hard('CRIU_MISSING', host.name, `criu is not installed on ${host.name}`, 'Install criu 4 or newer.'),
    ),
    ...when(host.runtimes[runtime] === undefined, () =>
      hard(
        'RUNTIME_MISSING',
        host.name,
        `${runtime} is not installed on ${host.name}`,
        `Install ${runtime} on ${host.name}.`,
      ),
    ),
    ...when(host.criu !== null && host.criuProblem !== null, () =>
      hard(
        'CRIU_CHECK_FAILED',
        host.name,
        `criu check on ${host.name} says: ${host.criuProblem ?? ''}`,
        'Use a kernel and a criu that fit together.',
      ),
    ),
  ]);
  return [
    ...missing,
    ...when(!options.sharedRootfs && !survey.rsync, () =>
      hard(
        'RSYNC_MISSING',
        survey.facts.name,
        `rsync is not installed on ${survey.facts.name}`,
        'Install rsync, or use --shared-rootfs.',
      ),
    ),
    ...when(needsRounds(options) && !source.features.dirtyTracking, () =>
      hard(
        'NO_DIRTY_TRACKING',
        source.name,
        `the kernel of ${source.name} does not track dirty pages`,
        options.mode === 'hybrid'
          ? 'Use --mode post-copy: the same without rounds.'
          : 'Use --mode auto without --on-no-convergence abort: the same plan with zero rounds.',
      ),
    ),
    ...when(options.mode === 'auto' && !needsRounds(options) && !source.features.dirtyTracking, () =>
      note(
        'NO_DIRTY_TRACKING',
        source.name,
        `the kernel of ${source.name} does not track dirty pages: zero pre-dump rounds`,
        'Nothing needs to be done.',
      ),
    ),
  ];
};

/** A worker that knows nothing of it would not pack what it sends, or refuse what comes, and that in the blackout. */
const compression: Rule = ({ options, source, survey }) =>
  [source, survey.facts]
    .filter(({ features }) => options.compress === 'zstd' && features.zstd !== true)
    .map(({ name }) =>
      hard(
        'NO_ZSTD',
        name,
        `the cmt on ${name} is too old for --compress zstd`,
        `Install this version of cmt on ${name}, or leave out --compress.`,
      ),
    );

/** Whoever would rather not move than stand still for long wants to know how long that would be. */
const needsRounds = ({ mode, onNoConvergence }: MigrationOptions): boolean =>
  mode === 'pre-copy' || mode === 'hybrid' || (mode === 'auto' && onNoConvergence === 'abort');

const versions: Rule = ({ inspection, source, survey: { facts: target } }) => [
  ...when(source.arch !== target.arch, () =>
    hard(
      'ARCH_DIFFERS',
      target.name,
      `${target.name} is ${target.arch}, ${source.name} is ${source.arch}`,
      'Choose a target of the same architecture.',
    ),
  ),
  ...when(bothThere(source.criu, target.criu) && source.criu !== target.criu, () =>
    soft(
      'CRIU_VERSION_DIFFERS',
      target.name,
      `criu is ${target.criu ?? ''} on ${target.name}, ${source.criu ?? ''} on ${source.name}`,
      'Install the same version on both.',
    ),
  ),
  ...when(differ(source.runtimes[inspection.runtime], target.runtimes[inspection.runtime]), () =>
    soft(
      'RUNTIME_VERSION_DIFFERS',
      target.name,
      `${inspection.runtime} is ${target.runtimes[inspection.runtime] ?? ''} on ${target.name}, ${source.runtimes[inspection.runtime] ?? ''} on ${source.name}`,
      'Install the same version on both.',
    ),
  ),
];

const cpu: Rule = ({ survey }) =>
  when(survey.cpuProblem !== null, () =>
    soft(
      'CPU_DIFFERS',
      survey.facts.name,
      `criu cpuinfo check on ${survey.facts.name} says: ${survey.cpuProblem ?? ''}`,
      'Choose a target whose CPU has all features of the source’s.',
    ),
  );

const space: Rule = ({ options, inspection, survey }) => {
  const { facts } = survey;
  const images = imagesNeed(inspection.memory);
  return [
    ...when(facts.memoryAvailable < inspection.memory, () =>
      soft(
        'MEMORY_SHORT',
        facts.name,
        `${facts.name} has ${mib(facts.memoryAvailable)} of memory available, the container holds ${mib(inspection.memory)}`,
        'Free memory there, or choose another target.',
      ),
    ),
    ...when(facts.imagesFree < images, () =>
      (facts.spillFree ?? 0) < images
        ? hard(
            'IMAGES_SPACE_SHORT',
            facts.name,
            `${facts.name} has ${mib(facts.imagesFree)} free for images, ${mib(images)} are needed`,
            'Free space there, or move its images directory (--images-dir).',
          )
        : note(
            'IMAGES_ON_DISK',
            facts.name,
            `${facts.name} has ${mib(facts.imagesFree)} free for images in memory, ${mib(images)} are needed: they will lie on disk`,
            'The blackout will be longer; for a shorter one make its images directory larger.',
          ),
    ),
    ...when(!options.sharedRootfs && survey.bundle === 'absent' && survey.bundleFree < inspection.files, () =>
      hard(
        'DISK_SHORT',
        facts.name,
        `${facts.name} has ${mib(survey.bundleFree)} free for the bundle, ${mib(inspection.files)} are needed`,
        'Free space there, or choose another path (--dst HOST:/path).',
      ),
    ),
  ];
};

const names: Rule = ({ inspection, survey }) => [
  ...when(survey.nameTaken, () =>
    hard(
      'NAME_TAKEN',
      survey.facts.name,
      `${survey.facts.name} already has a container ${inspection.container}`,
      'Remove it there, or choose another target.',
    ),
  ),
  ...when(survey.busyWith !== null, () =>
    hard(
      'CONTAINER_BUSY',
      survey.facts.name,
      `${inspection.container} is part of migration ${survey.busyWith ?? ''} on ${survey.facts.name}`,
      'Wait for it or cancel it.',
    ),
  ),
  ...survey.addressesTaken.map((address) =>
    hard(
      'ADDRESS_TAKEN',
      survey.facts.name,
      `address ${address} is already in use on ${survey.facts.name}`,
      'Free it there, or choose another target.',
    ),
  ),
  ...survey.missingBridges.map((bridge) =>
    hard(
      'BRIDGE_MISSING',
      survey.facts.name,
      `${survey.facts.name} has no bridge ${bridge}`,
      `Create ${bridge} there: the container’s address lives on it.`,
    ),
  ),
];

const files: Rule = ({ options, inspection, survey }) => [
  ...survey.missingMounts.map((mount) =>
    hard(
      'MOUNT_MISSING',
      survey.facts.name,
      `the container mounts ${mount}, which ${survey.facts.name} does not have`,
      `Provide ${mount} there.`,
    ),
  ),
  ...when(!options.sharedRootfs && survey.bundle === 'foreign', () =>
    soft(
      'BUNDLE_EXISTS',
      survey.facts.name,
      `the bundle directory on ${survey.facts.name} is not empty and not this container’s`,
      'Choose another path (--dst HOST:/path); with --force its content is replaced.',
    ),
  ),
  ...when(options.sharedRootfs && survey.bundle === 'absent', () =>
    hard(
      'BUNDLE_MISSING',
      survey.facts.name,
      `--shared-rootfs, but ${survey.facts.name} does not see the bundle of ${inspection.container}`,
      'Mount it there, or leave --shared-rootfs out.',
    ),
  ),
];

const MIB = 1024 * 1024;
const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;
const bothThere = (a: string | null, b: string | null): boolean => a !== null && b !== null;
const differ = (a: string | undefined, b: string | undefined): boolean =>
  a !== undefined && b !== undefined && a !== b;
