/** Whether a copy runs before its memory is there, and whence that comes: images on its own host, or the frozen source. Pure. */
import {
  allowsPostCopy,
  type Finding,
  type HostFacts,
  type HostName,
  type Inspection,
  type MigrationOptions,
} from '@cmt/contracts';
import type { Saga } from './state.ts';

/**
 * Bytes of memory from which `auto` restores lazily: below it the start of the daemon (17 to 54 ms seen) costs the blackout about
 * what copying the pages does (docs/decisions/0012).
 */
export const LAZY_FROM = 64 * 1024 * 1024;

/** Pages that no round has brought stay at the source, and are served to the copy while it runs (docs/decisions/0013). */
export const isPostCopy = ({ request, postCopy }: Pick<Saga, 'request' | 'postCopy'>): boolean =>
  request.options.mode === 'post-copy' || postCopy === true;

/** The container is the target's, and waits for pages that its source still serves. */
export const pagesFollow = (saga: Saga): boolean =>
  isPostCopy(saga) && saga.fenced === null && (saga.stage === 'release' || saga.stage === 'confirm');

/** From images alone never after rounds: CRIU fills a copy from parent images before it runs all the same. */
export const isLazy = (saga: Saga): boolean =>
  isPostCopy(saga) ? canBeLazy(saga) : saga.rounds.length === 0 && isLazyWithoutRounds(saga);

/** Bytes of memory that follow the copy where it is restored lazily; null where nobody knows: after rounds, if nothing was seen of what they left. */
export function following({ inspection, rounds }: Saga): number | null {
  const last = rounds.at(-1);
  return last === undefined ? (inspection?.memory ?? null) : (last.dirtyBytes ?? null);
}

/** Whether it would be, if the switch came before any round. */
export const isLazyWithoutRounds = (saga: Saga): boolean =>
  canBeLazy(saga) && saga.inspection !== null && wantsLazy(saga.request.options, saga.inspection);

const canBeLazy = ({ inspection, survey }: Saga): boolean =>
  inspection !== null && survey?.facts.features.lazyPages === true;

const wantsLazy = ({ restore }: MigrationOptions, { memory }: Inspection): boolean =>
  restore === 'lazy' || (restore === 'auto' && memory >= LAZY_FROM);

/** What to say when the target cannot do it: against the migration only where it was asked for. */
export function lazyFindings(
  options: MigrationOptions,
  inspection: Inspection,
  target: HostFacts,
): Finding[] {
  if (target.features.lazyPages || allowsPostCopy(options) || !wantsLazy(options, inspection)) return [];
  const why = `${target.name} cannot fill memory behind a running container (userfaultfd, cgroup2 and perl are needed)`;
  const finding = { code: 'NO_LAZY_PAGES', host: target.name, message: `${why}: it is restored complete` };
  if (options.restore === 'auto')
    return [{ ...finding, severity: 'note', remedy: 'Nothing needs to be done.' }];
  return [
    {
      ...finding,
      severity: 'hard',
      message: why,
      remedy: 'Leave out --restore lazy: the blackout grows with the memory.',
    },
  ];
}

/** What stands against post-copy on either host, or else what it risks. */
export function postCopyFindings(options: MigrationOptions, source: HostFacts, target: HostFacts): Finding[] {
  if (!allowsPostCopy(options)) return [];
  const unable = [source, target].filter(({ features }) => !features.lazyPages);
  if (unable.length === 0) return [risk(source.name, target.name, options)];
  return unable.map(({ name }) => ({
    ...{ code: 'NO_LAZY_PAGES', severity: 'hard', host: name },
    message: `${name} cannot do post-copy (userfaultfd, cgroup2 and perl are needed)`,
    remedy: hasPolicyOnly(options) ? 'Use --on-no-convergence switch or abort.' : 'Use another --mode.',
  }));
}

const risk = (source: HostName, target: HostName, options: MigrationOptions): Finding => ({
  ...{ code: 'POST_COPY_RISK', severity: 'note', host: target },
  message: `${hasPolicyOnly(options) ? 'if rounds do not bring the blackout into its budget: ' : ''}until its last page has come the container on ${target} needs ${source} and the link; if one fails it is killed`,
  remedy: `It stands frozen on ${source} then, as it was at the switch, for \`cmt resolve\`. Without post-copy there is no such risk.`,
});

/** Post-copy is what rounds may end in, and not what was asked for in any case. */
const hasPolicyOnly = ({ mode }: MigrationOptions): boolean => mode !== 'post-copy' && mode !== 'hybrid';
