/** Where cmt keeps what must outlive it, unless it is told. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from '../config.ts';

/** For whoever types `cmt`: $XDG_STATE_HOME/cmt, or ~/.local/state/cmt (XDG Base Directory Specification). */
export const userStateDir = (env: Environment): string =>
  join(env['XDG_STATE_HOME'] || join(env['HOME'] || homedir(), '.local/state'), 'cmt');

/** For a worker or coordinator: /var/lib/cmt when it runs as root. */
export const serviceStateDir = (env: Environment, uid: number | undefined): string =>
  uid === 0 ? '/var/lib/cmt' : userStateDir(env);
