/** Whether a copy runs before its memory is there, and whence that comes: images on its own host, or the frozen source. Pure. */
import type { Finding, HostFacts, HostName, Inspection, MigrationOptions } from '@cmt/contracts';
import type { Saga } from './state.ts';

/**
 * Bytes of memory from which `auto` restores lazily: below it the start of the daemon (17 to 54 ms seen) costs the blackout about
 * what copying the pages does (docs/decisions/0012).
 */
export const LAZY_FROM = 64 * 1024 * 1024;

/** Pages stay at the source, and are served to the copy while it runs (docs/decisions/0013). */
export const isPostCopy = ({ request }: Pick<Saga, 'request'>): boolean =>
  request.options.mode === 'post-copy';

/** Never after pre-dump rounds: a chain of images has not been seen to be served whole. */
export function isLazy({ request, inspection, survey, rounds }: Saga): boolean {
  if (inspection === null || rounds.length > 0 || survey?.facts.features.lazyPages !== true) return false;
  return wantsLazy(request.options, inspection);
}

const wantsLazy = ({ restore, mode }: MigrationOptions, { memory }: Inspection): boolean =>
  mode === 'post-copy' || restore === 'lazy' || (restore === 'auto' && memory >= LAZY_FROM);

/** What to say when the target cannot do it: against the migration only where it was asked for. */
export function lazyFindings(
  options: MigrationOptions,
  inspection: Inspection,
  target: HostFacts,
): Finding[] {
  if (target.features.lazyPages || options.mode === 'post-copy' || !wantsLazy(options, inspection)) return [];
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
  if (options.mode !== 'post-copy') return [];
  const unable = [source, target].filter(({ features }) => !features.lazyPages);
  if (unable.length === 0) return [risk(source.name, target.name)];
  return unable.map(({ name }) => ({
    ...{ code: 'NO_LAZY_PAGES', severity: 'hard', host: name },
    message: `${name} cannot do post-copy (userfaultfd, cgroup2 and perl are needed)`,
    remedy: 'Use another --mode.',
  }));
}

const risk = (source: HostName, target: HostName): Finding => ({
  ...{ code: 'POST_COPY_RISK', severity: 'note', host: target },
  message: `until its last page has come the container on ${target} needs ${source} and the link; if one fails it is killed`,
  remedy: `It stands frozen on ${source} then, as it was at the switch, for \`cmt resolve\`. No other --mode has that risk.`,
});
