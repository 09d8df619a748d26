/**
 * Takes away what earlier versions of cmt have left on a machine reached over ssh.
 *
 * INVARIANTS
 * - What a process runs from, or a unit names, stays. So does what anybody has asked for in the last day: every client marks the
 *   folder that it finds (push.ts), so that none goes between the finding and the start.
 * - Only what push.ts makes is looked at, by its name; the folder of an installed cmt holds other things, too.
 */
import { sshRun, type SshHost } from './ssh.ts';
import { rootArgv, type RemoteSurvey } from './survey.ts';

/** Minutes that a folder is kept after somebody has asked for it last. */
const KEPT_MIN = 24 * 60;
const LIMIT_MS = 60_000;

/** Bundles, nodes, and what an interrupted upload or removal leaves. */
const OURS = '[0-9a-f]{16}|node-[0-9.]+-[0-9a-f]{16}|\\.(draft|gone)-[A-Za-z0-9]+';

/**
 * $1 the folder of them all, $2 how old in minutes. A folder that is marked while it is moved away comes back. Nothing here may run with
 * the name of a folder among its arguments while it is looked who does.
 */
const PRUNE = `cd "$1" || exit 0
isOld() { [ -n "$(find "$1" -maxdepth 0 -mmin "+$age")" ]; }
isUsed() {
  named=$({ cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'; ls -l /proc/[0-9]*/exe; cat /etc/systemd/system/cmt-*.service; } 2>/dev/null)
  case "$named" in *"$root/$1/"*) return 0;; *) return 1;; esac
}
root=$1 age=$2
ls -A | grep -Ex '${OURS}' | while read -r name; do
  isOld "$name" && ! isUsed "$name" || continue
  gone=$(mktemp -d .gone-XXXXXXXX) && mv "$name" "$gone/" || continue
  isOld "$gone/$name" || [ -e "$name" ] || mv "$gone/$name" "$name"
  rm -rf --one-file-system "$gone"
done
`;

/** Never fails: what is left is taken away another time. */
export async function pruneOld(
  host: SshHost,
  survey: Pick<RemoteSurvey, 'sudo'>,
  root: string,
  signal?: AbortSignal,
): Promise<void> {
  const argv = rootArgv(survey, ['sh', '-c', PRUNE, 'cmt', root, String(KEPT_MIN)]);
  await sshRun(host, argv, { timeoutMs: LIMIT_MS, ...(signal ? { signal } : {}) }).catch(() => undefined);
}
