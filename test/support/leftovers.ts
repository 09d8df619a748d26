/** What a host holds that a migration could leave behind, before and after: names only, so that two looks can be compared. */
import { labRun, type Lab } from '../../apps/lab/src/main.ts';
import { patient } from './patience.ts';

/** Lines by what they are lines of. */
export type Holdings = ReadonlyMap<string, readonly string[]>;

export interface Difference {
  readonly host: string;
  readonly of: string;
  readonly added: readonly string[];
  readonly gone: readonly string[];
}

/** One look at everything: each part prints lines without numbers that change by themselves. */
const LOOKS: Readonly<Record<string, string>> = {
  firewall: 'nft -s list ruleset',
  // A container's link may be called otherwise on every host.
  links: `ip -o link | sed -E 's/^[0-9]*: //; s/@if[0-9]*//; s/ state .*//; s/^(v[a-z]+|cmt[0-9a-f]{12}):/CONTAINER:/'`,
  neighbours: 'ip -o neigh show nud permanent',
  addresses: `ip -o addr | awk '$4 !~ /^fe80/ {print $2, $4}'`,
  routes: 'ip route',
  netns: 'ls /run/netns',
  mounts: `awk '{print $5}' /proc/1/mountinfo`,
  cgroups: 'find /sys/fs/cgroup -type d',
  containers: `runc list | awk 'NR > 1 {print $1, $3}'; ls -A /run/runc`,
  images: 'find /run/cmt /var/lib/cmt/images /run/criu* -mindepth 1 ! -name "*.sock" ! -name "*.pid"',
  temporary: 'ls -A /tmp /run',
  // Of what is replaced by a rename: journal, results of legs.
  drafts: 'find /var/lib/cmt -name "*.tmp" -o -name "*.new"',
  bundles: 'ls -A /srv/containers',
  listeners: `ss -Hltn | awk '{print $4}'; ss -Hlx | awk '{print $5}'`,
  processes: `ps -eo args= --no-headers`,
  journal: `for f in /var/lib/cmt/journal/*.json; do jq -r 'select(.closed != true) | "\\(.migration) \\(.phase)"' "$f"; done`,
};

const MARK = '==== ';
const script = Object.entries(LOOKS)
  .map(([name, look]) => `echo '${MARK}${name}'; { ${look}; } 2>/dev/null | sort`)
  .join('\n');

/** The look itself, and the questions a worker asks from time to time, as they show up in the list of processes. No armed restore. */
const passing =
  /^(ps|sort|sed|awk|sh(?!.* runc )|setpriv|sleep)( |$)|^runc .*\b(list|state)\b|^(runc|criu) .*(--version|check)|^perl -e |\[\w+\] <defunct>/;

export async function holdingsOf(lab: Lab, host: string): Promise<Holdings> {
  // Read from standard input: as an argument it would be in the list of processes itself.
  const stdout = await labRun(lab, host, ['sh'], { timeoutMs: patient(20_000), input: script });
  const parts = stdout.split(MARK).slice(1);
  return new Map(
    parts.map((part) => {
      const [name = '', ...lines] = part.trimEnd().split('\n');
      return [name, lines.filter((line) => line !== '' && !(name === 'processes' && passing.test(line)))];
    }),
  );
}

/** @param ignore lines that may come and go, e.g. those that name a container which has moved */
export function differences(
  host: string,
  before: Holdings,
  after: Holdings,
  ignore: (line: string, of: string) => boolean = () => false,
): Difference[] {
  return [...after.keys()].flatMap((of) => {
    const [was, is] = [before.get(of) ?? [], after.get(of) ?? []];
    const keep = (line: string): boolean => !ignore(line, of);
    const added = surplus(is, was).filter(keep);
    const gone = surplus(was, is).filter(keep);
    return added.length + gone.length > 0 ? [{ host, of, added, gone }] : [];
  });
}

/** Lines of one list that the other does not have, each as often as it is missing. */
function surplus(of: readonly string[], over: readonly string[]): string[] {
  const left = [...over];
  return of.filter((line) => {
    const at = left.indexOf(line);
    if (at !== -1) left.splice(at, 1);
    return at === -1;
  });
}

/** Caches of the tools, directories that the first user makes and all share, and bundles: those stay where a container was. */
const USUAL: Readonly<Record<string, RegExp>> = {
  bundles: /./,
  images: /criu\.kdat|^\/run\/cmt\/images$/,
  mounts: /^\/run\/netns$/,
  temporary: /^(mount|runc|cmt|netns|runc\.log|criu\.kdat)$/,
};
export const isUsual = (line: string, of: string): boolean => USUAL[of]?.test(line) ?? false;

/** What all of these hosts hold: for containers that have only moved. */
export function together(hosts: readonly Holdings[]): Holdings {
  const sum = new Map<string, string[]>();
  for (const holdings of hosts)
    for (const [of, lines] of holdings) sum.set(of, [...(sum.get(of) ?? []), ...lines]);
  return sum;
}
