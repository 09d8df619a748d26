/** Whether a copy runs before its memory is there, filled from images that are complete on its own host. Pure. */
import type { Finding, HostFacts, Inspection, MigrationOptions } from '@cmt/contracts';
import type { Saga } from './state.ts';

/**
 * Bytes of memory from which `auto` restores lazily: below it the start of the daemon (17 to 54 ms seen) costs the blackout about
 * what copying the pages does (docs/decisions/0012).
 */
export const LAZY_FROM = 64 * 1024 * 1024;

/** Never after pre-dump rounds: a chain of images has not been seen to be served whole. */
export function isLazy({ request, inspection, survey, rounds }: Saga): boolean {
  if (inspection === null || rounds.length > 0 || survey?.facts.features.lazyPages !== true) return false;
  return wantsLazy(request.options, inspection);
}

const wantsLazy = ({ restore }: MigrationOptions, { memory }: Inspection): boolean =>
  restore === 'lazy' || (restore === 'auto' && memory >= LAZY_FROM);

/** What to say when the target cannot do it: against the migration only where it was asked for. */
export function lazyFindings(
  options: MigrationOptions,
  inspection: Inspection,
  target: HostFacts,
): Finding[] {
  if (target.features.lazyPages || !wantsLazy(options, inspection)) return [];
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
