/**
 * Settings of a network namespace (sysctl(8), /proc/sys/net): what somebody changed there is carried along. runc sets
 * those of config.json when it creates a container, never when it restores one.
 */
import { run, tryRun } from '../process.ts';
import { entering } from './ip.ts';

export type Sysctls = Record<string, string>;

const limits = (signal: AbortSignal) => ({ timeoutMs: 10_000, signal });
/** Of what cannot be read, nothing is printed; grep then says so with its exit code. */
const READ = ['sh', '-c', 'cd /proc/sys/net && grep -rs "" ipv4 ipv6 core unix mptcp; :'] as const;
const WRITE = 'while IFS="=" read -r path value; do printf %s "$value" > "/proc/sys/net/$path"; done; :';

/** What differs in a namespace from a fresh one of this host. */
export async function readSysctls(
  netns: string,
  links: readonly string[],
  signal: AbortSignal,
): Promise<Sysctls> {
  const [own, fresh] = await Promise.all([
    run(...entering(netns, READ), limits(signal)),
    run('unshare', ['-n', '--', ...READ], limits(signal)),
  ]);
  return changedSysctls(parseSysctls(own.stdout), parseSysctls(fresh.stdout), links);
}

/** Sets them; one that this kernel does not have, or does not let be set, is left as it is. */
export async function writeSysctls(netns: string, sysctls: Sysctls, signal: AbortSignal): Promise<void> {
  // Those for all links first: the kernel passes some of them on to each.
  const paths = Object.keys(sysctls).sort(
    (a, b) => Number(b.includes('/all/')) - Number(a.includes('/all/')),
  );
  const lines = paths.map((path) => `${path}=${sysctls[path] ?? ''}\n`);
  if (lines.length === 0) return;
  await tryRun(...entering(netns, ['sh', '-c', WRITE]), { ...limits(signal), input: lines.join('') });
}

/** Counters and one-way switches that are no settings. */
const NO_SETTING =
  /^(ipv[46]\/route\/flush|ipv6\/conf\/[^/]+\/(stable_secret|mtu)|core\/(dev_weight|netdev_rss_key)|.*_count)$/;

/** What differs from a fresh namespace; a link's own settings are held against its defaults. Pure. */
export function changedSysctls(
  own: ReadonlyMap<string, string>,
  fresh: ReadonlyMap<string, string>,
  links: readonly string[],
): Sysctls {
  const changed = [...own].filter(([path, value]) => {
    const [, before, link, after] = /^(ipv[46]\/(?:conf|neigh)\/)([^/]+)(\/.+)$/.exec(path) ?? [];
    const isLink = link !== undefined && links.includes(link);
    const usual = isLink ? own.get(`${before ?? ''}default${after ?? ''}`) : fresh.get(path);
    return usual !== undefined && usual !== value && !NO_SETTING.test(path);
  });
  return Object.fromEntries(changed);
}

/** Lines `path:value` of grep(1). */
export const parseSysctls = (output: string): Map<string, string> =>
  new Map(
    output
      .split('\n')
      .map((line): [string, string] => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)])
      .filter(([path]) => path !== ''),
  );
