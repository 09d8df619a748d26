/** The CRIU configuration file of one operation, named to runc's criu by CRIU_CONFIG_FILE (criu(8), "CONFIGURATION FILES"). */
import type { TcpPolicy } from '@cmt/contracts';

export interface CriuConfig {
  /** Default `established`, which runc's own flag asks for. */
  readonly tcp?: TcpPolicy;
  /** The gate's script (see gate.ts); for restores. */
  readonly actionScript?: string;
  /**
   * Whether cmt has cut the container off itself. Default true. Without it CRIU blocks every connection with nftables,
   * which costs about 50 ms of a dump and as much of a restore.
   */
  readonly fenced?: boolean;
  /** For dumps that leave pages out and serve them (see runtimes/serving.ts): descriptors of CRIU's own. runc has no word for the first. */
  readonly serve?: { readonly pages: number; readonly status: number };
}

/** Bytes of a file that is open but deleted, which CRIU carries in its images; beyond that it refuses. Its default is 1 MiB. */
const GHOST_LIMIT = '512M';

/**
 * Seconds that CRIU may try to stop the processes of a round (its default is 10); they stand still meanwhile. A process caught
 * between vfork and exec cannot be stopped: the next try finds it elsewhere.
 */
const STOP_LIMIT_S = 5;

/**
 * The file's text. Not in it, for a reason: `link-remap`, because CRIU removes its links from a `--leave-running` source when
 * the dump has ended, before files are carried, and no restore finds them (seen with 4.2.1); `ext-unix-sk`, because the socket's
 * other end stays behind; `skip-in-flight`, because runc's own word for it wins over this file.
 * @throws {Error} when the script's path holds what CRIU's parser of this file cannot read (criu/config.c)
 */
export function criuConfigText(config: CriuConfig): string {
  const { tcp = 'established', actionScript, fenced = true, serve } = config;
  const lines = [
    `network-lock ${fenced ? 'skip' : 'nftables'}`,
    `ghost-limit ${GHOST_LIMIT}`,
    `timeout ${STOP_LIMIT_S}`,
    // `runc restore` has no flag for it.
    ...(tcp === 'close' ? ['tcp-close'] : []),
    ...(serve === undefined ? [] : [`ps-socket ${serve.pages}`, `status-fd ${serve.status}`]),
    ...(actionScript === undefined ? [] : [`action-script ${quoted(actionScript)}`]),
  ];
  return lines.join('\n') + '\n';
}

function quoted(path: string): string {
  if (/["\\\n]/.test(path)) throw new Error(`CRIU's configuration file cannot hold the path ${path}`);
  return `"${path}"`;
}
