/** One host as the target of one container: every reason against it, or its score. Pure. */
import {
  imagesNeed,
  type ContainerSummary,
  type HostFacts,
  type HostName,
  type HostRecord,
  type HostState,
  type Place,
} from '@cmt/contracts';
import { missingFlags } from './cpu.ts';
import { olderThan } from './version.ts';

/** A host as placing sees it: what it announced, and what is under way with it. */
export interface Candidate {
  readonly name: HostName;
  readonly state: HostState;
  readonly record: Pick<HostRecord, 'facts' | 'labels' | 'containers'>;
  readonly drained: boolean;
  /** Migrations under way to it, and the bytes of memory they bring. */
  readonly arriving: { readonly count: number; readonly memory: number };
  readonly leaving: number;
  /** Migrations that may arrive at the same time. */
  readonly maxArriving: number;
}

/** What a container needs of the host it goes to. */
export interface Needs {
  readonly container: string;
  readonly runtime: ContainerSummary['runtime'];
  readonly source: HostName;
  /** Where it runs now: what it may have come to rely on. */
  readonly sourceFacts: HostFacts;
  /** Bytes; null where nobody knows yet. */
  readonly memory: number | null;
  readonly place: Place;
  /** Soft reasons count as warnings, as with `--force`. */
  readonly force: boolean;
}

/** One reason against a host. Soft ones give way to `force`. */
export interface Reason {
  readonly code:
    | 'SOURCE'
    | 'AVOIDED'
    | 'OFFLINE'
    | 'DRAINED'
    | 'LABEL'
    | 'ARCH'
    | 'CPU'
    | 'CRIU'
    | 'RUNTIME'
    | 'MEMORY'
    | 'DISK'
    | 'NAME_TAKEN';
  readonly soft: boolean;
  readonly text: string;
}

export interface Verdict {
  readonly host: HostName;
  readonly fits: boolean;
  /** 0 to 100, more is better; null where it does not fit. */
  readonly score: number | null;
  /** As many migrations as may arrive do so already: it would have to wait. */
  readonly busy: boolean;
  readonly reasons: readonly Reason[];
  /** Bytes of memory that would be left; null where the container's memory is not known. */
  readonly memoryAfter: number | null;
}

/** What a container that a host announces needs of another. */
export const needsOf = (
  source: Pick<HostRecord, 'facts' | 'containers'>,
  container: string,
  wish: Pick<Needs, 'place' | 'force' | 'runtime'>,
): Needs => ({
  ...{ container, ...wish, source: source.facts.name, sourceFacts: source.facts },
  memory:
    source.containers.find(({ id, runtime }) => id === container && runtime === wish.runtime)?.memory ?? null,
});

/** @param most containers that any of the candidates has: the measure of spread */
export function verdictOn(needs: Needs, host: Candidate, most: number): Verdict {
  const reasons = RULES.flatMap((rule) => rule(needs, host));
  const fits = !reasons.some(({ soft }) => !soft || !needs.force);
  const memoryAfter = needs.memory === null ? null : roomFor(host) - needs.memory;
  const busy = host.arriving.count >= host.maxArriving;
  const score = fits ? scoreOf(needs, host, most) : null;
  return { host: host.name, fits, score, busy, reasons, memoryAfter };
}

type Rule = (needs: Needs, host: Candidate) => Reason[];
const hard = (code: Reason['code'], text: string): Reason[] => [{ code, soft: false, text }];
const soft = (code: Reason['code'], text: string): Reason[] => [{ code, soft: true, text }];
const NONE: Reason[] = [];

const isThere: Rule = ({ source, place }, { name, state }) => [
  ...(name === source ? hard('SOURCE', 'it runs there already') : NONE),
  ...(place.avoid.includes(name) ? hard('AVOIDED', 'it is to be avoided') : NONE),
  ...(state === 'online' ? NONE : hard('OFFLINE', state)),
];

const isOpen: Rule = (_, { drained }) => (drained ? hard('DRAINED', 'drained') : NONE);

const hasLabels: Rule = ({ place }, { record: { labels } }) =>
  Object.entries(place.labels)
    .filter(([name, value]) => labels[name] !== value)
    .flatMap(([name, value]) =>
      hard('LABEL', labels[name] === undefined ? `no label ${name}=${value}` : `${name} is ${labels[name]}`),
    );

const cpu: Rule = ({ sourceFacts }, { record: { facts } }) => {
  if (facts.arch !== sourceFacts.arch) return hard('ARCH', `${facts.arch}, not ${sourceFacts.arch}`);
  const missing = missingFlags(sourceFacts.cpu?.flags ?? [], facts.cpu?.flags);
  return missing.length === 0 ? NONE : soft('CPU', `CPU lacks ${listed(missing)}`);
};

const criu: Rule = ({ sourceFacts }, { record: { facts } }) => {
  if (facts.criu === null) return hard('CRIU', 'no criu');
  if (facts.criuProblem !== null) return hard('CRIU', `criu check: ${facts.criuProblem}`);
  return differing('CRIU', 'criu', facts.criu, sourceFacts.criu ?? facts.criu);
};

const hasRuntime: Rule = ({ runtime, sourceFacts }, { record: { facts } }) => {
  const version = facts.runtimes[runtime];
  if (version === undefined) return hard('RUNTIME', `no ${runtime}`);
  return differing('RUNTIME', runtime, version, sourceFacts.runtimes[runtime] ?? version);
};

/** `validate` refuses another version unless it is forced; so does this. */
const differing = (code: Reason['code'], tool: string, there: string, here: string): Reason[] =>
  there === here
    ? NONE
    : soft(code, `${tool} ${there} ${olderThan(there, here) ? '<' : 'differs from'} ${here}`);

const memory: Rule = (needs, host) => {
  const short = (needs.memory ?? 0) - roomFor(host);
  return short > 0 ? soft('MEMORY', `${gib(short)} of memory short`) : NONE;
};

/** Images lie there while they move: the container's memory and a little more, as `validate` reckons. */
const disk: Rule = ({ memory: bytes }, { record: { facts }, arriving }) => {
  const room = Math.max(facts.imagesFree, facts.spillFree ?? 0);
  const short = imagesNeed((bytes ?? 0) + arriving.memory) - room;
  return short > 0 ? hard('DISK', `${gib(short)} of space for images short`) : NONE;
};

const nameIsFree: Rule = ({ container, runtime, source }, { name, record: { containers } }) =>
  name !== source && containers.some((other) => other.id === container && other.runtime === runtime)
    ? hard('NAME_TAKEN', `has a container ${container}`)
    : NONE;

const RULES: readonly Rule[] = [
  ...[isThere, isOpen, hasLabels, cpu, criu, hasRuntime],
  ...[memory, disk, nameIsFree],
];

const roomFor = ({ record: { facts }, arriving }: Candidate): number =>
  facts.memoryAvailable - arriving.memory;

/** Weights of what a host is chosen by. */
const MEMORY = 60;
const LOAD = 25;
const SPREAD = 15;

function scoreOf(needs: Needs, host: Candidate, most: number): number {
  const { facts, containers } = host.record;
  const left = (roomFor(host) - (needs.memory ?? 0)) / Math.max(1, facts.memoryTotal);
  const load = (host.arriving.count + host.leaving) / Math.max(1, host.maxArriving);
  const crowd = (containers.length + host.arriving.count) / Math.max(1, most);
  return Math.round(MEMORY * share(left) + LOAD * (1 - share(load)) + SPREAD * (1 - share(crowd)));
}

const share = (value: number): number => Math.min(1, Math.max(0, value));

const MIB = 1024 ** 2;
export const gib = (bytes: number): string =>
  bytes >= 0.1 * 1024 ** 3 ? `${(bytes / 1024 ** 3).toFixed(1)} GiB` : `${(bytes / MIB).toFixed(1)} MiB`;

const LISTED = 5;
const listed = (words: readonly string[]): string =>
  words.length <= LISTED
    ? words.join(', ')
    : `${words.slice(0, LISTED).join(', ')} and ${words.length - LISTED} more`;
